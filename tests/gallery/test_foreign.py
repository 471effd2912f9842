"""Pictures of other tools, built after the layouts that these write, and what of them fills our form."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
from gallery_helpers import picture, request
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.metadata import png_text
from webbduck_gradio.gallery.metadata.other_tools import reader
from webbduck_gradio.gallery.metadata.recall import understand
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings

PROMPT = 'a red duck, "quoted", (pond:1.2)'
A1111 = (
    f"{PROMPT} <lora:party-hat:0.8>\nNegative prompt: blurry, low quality\n"
    "Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 4015, Size: 832x1216, "
    "Model hash: 31e35c80fc, Model: sd_xl_base_1.0, Denoising strength: 0.4, Clip skip: 2, "
    'Lora hashes: "party-hat: 0123456789ab", Version: v1.10.1'
)
OLD_A1111 = (
    f"{PROMPT}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model hash: 31e35c80fc"
)
FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernautXL_v8Rundiffusion",
    "base_model_hash": "aeb7e9e689", "clip_skip": 2, "full_negative_prompt": ["blurry"],
    "full_prompt": [PROMPT, "cinematic"], "guidance_scale": 4,
    "lora_combined_1": "sd_xl_offset_example-lora_1.0 : 0.1", "loras": [],
    "metadata_scheme": "fooocus", "negative_prompt": "blurry, low quality", "performance": "Speed",
    "prompt": PROMPT, "refiner_model": "None", "refiner_switch": 0.5, "resolution": "(896, 1152)",
    "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "seed": "4015", "sharpness": 2, "steps": 30,
    "styles": "['Fooocus V2']", "vae": "Default (model)", "version": "Fooocus v2.5.5",
}  # fmt: skip
FOOOCUS_A1111 = (
    f"{PROMPT}\nNegative prompt: blurry, low quality\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 4015, "
    'Size: 896x1152, CFG scale: 4, Sharpness: 2, ADM Guidance: "(1.5, 0.8, 0.3)", Model: juggernautXL, '
    "Model hash: aeb7e9e689, Version: Fooocus v2.5.5"
)
INVOKEAI = {
    "app_version": "5.4.2", "generation_mode": "sdxl_txt2img", "positive_prompt": PROMPT,
    "negative_prompt": "blurry, low quality", "width": 832, "height": 1216, "seed": 4015,
    "rand_device": "cpu", "cfg_scale": 6.5, "steps": 28, "scheduler": "dpmpp_2m_k", "clip_skip": 0,
    "model": {"key": "x", "hash": "blake3:31e35c80fc4829d1", "name": "sd_xl_base_1.0", "base": "sdxl"},
    "loras": [{"model": {"key": "y", "name": "party-hat", "base": "sdxl", "type": "lora"}, "weight": 0.8}],
}  # fmt: skip
OLD_INVOKEAI = {**INVOKEAI, "scheduler": "euler", "model": {"model_name": "sdxl-old", "base_model": "sdxl"},
                "loras": [{"lora": {"model_name": "party-hat"}, "weight": 0.8}]}  # fmt: skip
COMFY_PROMPT = {
    "3": {"class_type": "KSampler", "inputs": {
        "seed": 4015, "steps": 28, "cfg": 6.5, "sampler_name": "dpmpp_2m", "scheduler": "karras",
        "denoise": 1.0,
        "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {
        "ckpt_name": "sdxl\\sd_xl_base_1.0.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 832, "height": 1216, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": PROMPT, "clip": ["10", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry, low quality", "clip": ["10", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
    "10": {"class_type": "LoraLoader", "inputs": {
        "lora_name": "party-hat.safetensors", "strength_model": 0.8, "strength_clip": 0.8,
        "model": ["4", 0], "clip": ["4", 1]}},
}  # fmt: skip
COMFY_LINKS = [
    [1, 4, 0, 10, 0, "MODEL"], [2, 4, 1, 10, 1, "CLIP"], [3, 10, 0, 3, 0, "MODEL"], [4, 10, 1, 6, 0, "CLIP"],
    [5, 10, 1, 7, 0, "CLIP"], [6, 6, 0, 3, 1, "CONDITIONING"], [7, 7, 0, 3, 2, "CONDITIONING"],
    [8, 5, 0, 3, 3, "LATENT"], [9, 3, 0, 8, 0, "LATENT"], [10, 4, 2, 8, 1, "VAE"], [11, 8, 0, 9, 0, "IMAGE"],
]  # fmt: skip
COMFY = {"prompt": json.dumps(COMFY_PROMPT), "workflow": json.dumps({"nodes": [], "links": COMFY_LINKS})}
SWARM = {
    "sui_image_params": {
        "prompt": PROMPT, "negativeprompt": "blurry, low quality",
        "model": "OfficialStableDiffusion/sd_xl_base_1.0",
        "seed": 4015, "steps": 28, "cfgscale": 6.5, "aspectratio": "2:3", "width": 832, "height": 1216,
        "sampler": "dpmpp_2m", "scheduler": "karras", "loras": ["party-hat"], "loraweights": ["0.8"],
        "swarm_version": "0.9.5.2"},
    "sui_extra_data": {"date": "2025-03-15"},
    "sui_models": [{"name": "sd_xl_base_1.0.safetensors", "param": "model", "hash": "0x31e35c80fc4829d1"}],
}  # fmt: skip
NOVELAI = {
    "Title": "AI generated image", "Description": PROMPT, "Software": "NovelAI",
    "Source": "Stable Diffusion XL 7BCCAA2C",
    "Comment": json.dumps({"steps": 28, "sampler": "k_euler_ancestral", "seed": 4015, "strength": 0.7,
                           "scale": 6.5, "uc": "blurry, low quality"}),
}  # fmt: skip

EXPECTED = {
    "prompt": PROMPT, "negative_prompt": "blurry, low quality", "steps": 28, "cfg": 6.5, "seed": 4015,
    "width": 832, "height": 1216, "sampler": "DPM++ 2M", "schedule": "Karras", "base_model": "sd_xl_base_1.0",
    "loras": [{"name": "party-hat", "weight": 0.8}],
}  # fmt: skip
FOOOCUS_EXPECTED = {**EXPECTED, "steps": 30, "cfg": 4, "width": 896, "height": 1152,
                    "sampler": "DPM++ 2M SDE", "base_model": "juggernautXL_v8Rundiffusion",
                    "loras": [{"name": "sd_xl_offset_example-lora_1.0", "weight": 0.1}]}  # fmt: skip
SAMPLES = [
    ("a1111", {"parameters": A1111}, {**EXPECTED, "strength": 0.4}),
    ("a1111", {"parameters": OLD_A1111}, {"prompt": PROMPT, "sampler": "Euler a", "seed": 1, "width": 512}),
    ("fooocus", {"parameters": json.dumps(FOOOCUS), "fooocus_scheme": "fooocus"}, FOOOCUS_EXPECTED),
    ("fooocus", {"parameters": FOOOCUS_A1111, "fooocus_scheme": "a1111"},
     {**FOOOCUS_EXPECTED, "base_model": "juggernautXL", "loras": None}),
    ("invokeai", {"invokeai_metadata": json.dumps(INVOKEAI)}, EXPECTED),
    ("invokeai", {"invokeai_metadata": json.dumps(OLD_INVOKEAI)},
     {**EXPECTED, "sampler": "Euler", "schedule": "Uniform", "base_model": "sdxl-old"}),
    ("comfyui", COMFY, EXPECTED),
    ("swarmui", {"parameters": json.dumps(SWARM)}, EXPECTED),
    ("novelai", NOVELAI,
     {"prompt": PROMPT, "negative_prompt": "blurry, low quality", "steps": 28, "cfg": 6.5}),
]  # fmt: skip
NAMES = [
    "a1111",
    "old a1111",
    "fooocus",
    "fooocus a1111",
    "invokeai",
    "old invokeai",
    "comfyui",
    "swarmui",
    "novelai",
]


def save_png(path: Path, texts: dict[str, str]) -> Path:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    picture().save(path, pnginfo=info)
    return path


def save_exif(path: Path, comment: bytes | str, inner: bool = True) -> Path:
    exif = Image.Exif()
    (exif.get_ifd(0x8769) if inner else exif)[0x9286] = comment
    picture().save(path, exif=exif)
    return path


@pytest.mark.parametrize(("tool", "texts", "expected"), SAMPLES, ids=NAMES)
def test_it_fills_the_form(tmp_path: Path, tool: str, texts: dict[str, str], expected: dict):
    found = understand(save_png(tmp_path / "x.png", texts))
    assert found["tool"] == tool
    assert {key: found["fields"].get(key) for key in expected} == expected
    # What the form is filled with can be asked for.
    GenerationRequest.validated(**{"base_model": "any", "image": "0" * 64 + ".png", **found["fields"]})


@pytest.mark.parametrize(("tool", "texts", "expected"), SAMPLES, ids=NAMES)
def test_the_gallery_finds_it(settings: Settings, outputs: Outputs, tool: str, texts: dict, expected: dict):
    (settings.outputs / "other").mkdir()
    save_png(settings.outputs / "other" / "x.png", texts)
    negative = "negative:blurry" if expected.get("negative_prompt") else ""
    for query in (f"duck {negative}", f"tool:{tool}", f"seed:{expected.get('seed', 4015)}", "size:64x64"):
        assert outputs.count(query) == 1, query
    if expected.get("base_model"):
        assert outputs.count(f"model:{expected['base_model']}") == 1
    for lora in expected.get("loras") or ():
        assert outputs.count(f"lora:{lora['name']}") == 1


@pytest.mark.parametrize("ending", ["jpg", "webp"])
@pytest.mark.parametrize(
    ("comment", "inner"),
    [
        (b"UNICODE\0" + A1111.encode("utf-16-be"), True),
        (b"UNICODE\0" + A1111.encode("utf-16-le"), True),
        (b"ASCII\0\0\0" + A1111.encode(), True),
        (A1111.encode(), True),
        (b"UNICODE\0" + json.dumps(SWARM).encode("utf-16-le"), True),
        (json.dumps({**FOOOCUS, **{"steps": 28, "guidance_scale": 6.5}}).encode(), False),
    ],
)
def test_jpeg_and_webp(tmp_path: Path, ending: str, comment: bytes, inner: bool):
    fields = understand(save_exif(tmp_path / f"x.{ending}", comment, inner))["fields"]
    assert {key: fields[key] for key in ("prompt", "seed", "steps", "cfg")} == {
        "prompt": PROMPT, "seed": 4015, "steps": 28, "cfg": 6.5}  # fmt: skip


def test_comfyuis_webp(tmp_path: Path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = f"workflow:{COMFY['workflow']}", f"prompt:{COMFY['prompt']}"
    picture().save(tmp_path / "x.webp", exif=exif)
    found = understand(tmp_path / "x.webp")
    assert found["tool"] == "comfyui" and found["fields"]["loras"] == [{"name": "party-hat", "weight": 0.8}]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("more", ["", "🦆"])
def test_text_after_the_pixels(tmp_path: Path, packed: bool, more: str):
    path, info = tmp_path / "x.png", PngInfo()
    info.add_text("parameters", more + A1111, zip=packed)
    picture().save(path, pnginfo=info)
    data = path.read_bytes()
    start = data.index(b"parameters\0") - 8
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    path.write_bytes(moved)
    fields = understand(path)["fields"]
    assert (fields["seed"], fields["prompt"]) == (4015, more + PROMPT)
    for cut in range(0, len(moved), 7):
        path.write_bytes(moved[:cut])
        png_text.texts(path)


def test_a_text_bomb_is_passed_over(tmp_path: Path):
    data = save_png(tmp_path / "x.png", {}).read_bytes()
    body = b"parameters\0\0" + zlib.compress(b"a" * 100_000_000, 9)
    chunk = len(body).to_bytes(4, "big") + b"zTXt" + body + zlib.crc32(b"zTXt" + body).to_bytes(4, "big")
    (tmp_path / "x.png").write_bytes(data[:-12] + chunk + data[-12:])
    assert understand(tmp_path / "x.png")["fields"] == {}


def test_what_is_not_installed_is_named_and_renamed_files_are_found(tmp_path: Path):
    path = save_png(tmp_path / "x.png", {"parameters": A1111})
    found = understand(path, {"other": None}, {"party-hat": None})
    assert "base_model" not in found["fields"] and found["fields"]["loras"] == EXPECTED["loras"]
    assert found["problems"][-1] == "The checkpoint sd_xl_base_1.0 is not installed; the chosen one stays."
    found = understand(
        path, {"my-sdxl": "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b"}, {}
    )
    assert found["fields"]["base_model"] == "my-sdxl" and found["fields"]["loras"] == []
    assert any("my-sdxl" in problem for problem in found["problems"])
    assert any("LoRA party-hat is not installed" in problem for problem in found["problems"])
    assert understand(path, {"SD_XL_BASE_1.0": None})["fields"]["base_model"] == "SD_XL_BASE_1.0"


def test_what_does_not_fit_is_named(tmp_path: Path):
    text = (
        "a duck\nSteps: 500, Sampler: Gradient, Schedule type: Karras, CFG scale: 7, Seed: 99999999999, "
        "Size: 30x513"
    )
    found = understand(save_png(tmp_path / "x.png", {"parameters": text}))
    assert found["fields"] == {"prompt": "a duck", "negative_prompt": "", "cfg": 7.0}
    said = " ".join(found["problems"])
    for word in ("steps", "no sampler Gradient", "seed", "width", "height"):
        assert word in said
    found = understand(save_png(tmp_path / "y.png", {"Comment": "holiday"}))
    assert found["fields"] == {} and "says nothing" in found["problems"][0] and found["raw"] == "holiday"


@pytest.mark.parametrize(("spelling", "is_another"), [("Beta", False), ("beta", True)])
def test_a_schedule_that_only_shares_its_name_is_told(tmp_path: Path, spelling: str, is_another: bool):
    """ComfyUI's, which it writes in small letters."""
    text = f"a duck\nSteps: 20, Sampler: Euler, Schedule type: {spelling}, CFG scale: 7, Seed: 1"
    found = understand(save_png(tmp_path / "x.png", {"parameters": text}))
    assert found["fields"]["schedule"] == "Beta"
    assert any("over the timesteps" in problem for problem in found["problems"]) == is_another


@pytest.mark.parametrize(("told", "ours"), [(1, 0), (2, 0), (3, 1), (6, 4)])
def test_clip_skip_counts_from_where_sdxl_begins(tmp_path: Path, told: int, ours: int):
    text = f"a duck\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Clip skip: {told}, Emphasis: No norm"
    fields = understand(save_png(tmp_path / "x.png", {"parameters": text}))["fields"]
    assert (fields["clip_skip"], fields["emphasis"]) == (ours, "none")


def test_a_field_that_fits_alone_is_kept(tmp_path: Path):
    text = "a duck\nSteps: 1, Sampler: Euler, CFG scale: 7, Seed: 1, Denoising strength: 0.3"
    found = understand(save_png(tmp_path / "x.png", {"parameters": text}))
    assert (found["fields"]["steps"], found["fields"]["strength"]) == (1, 0.3) and not found["problems"]


def test_our_own_picture_gives_its_request_exactly(tmp_path: Path):
    asked = request(
        prompt="Negative prompt: x",
        loras=[{"name": "hat", "weight": 0.5}],
        num_images=3,
        steps=7,
        embeddings=[],
    )
    chunk = metadata.build_chunk(asked, 2, facts={"model_hash": "31e35c80fc"})
    picture().save(tmp_path / "x.png", pnginfo=metadata.png_info(chunk))
    found = understand(tmp_path / "x.png")
    exact = asked.for_single_image(2).model_dump(mode="json", exclude_none=True)
    assert found["fields"] == exact
    assert found["problems"] == [] and found["tool"] == "webbduck"
    assert understand(tmp_path / "x.png", {"renamed": "31e35c80fc"})["fields"]["base_model"] == "renamed"


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from([*FOOOCUS, *INVOKEAI, *SWARM["sui_image_params"], "sui_image_params", "sui_models"])
chunk_names = st.sampled_from(["parameters", "prompt", "workflow", "invokeai_metadata", "sd-metadata",
                               "Dream", "Comment", "Description", "Source", "webbduck"])  # fmt: skip


@given(
    st.dictionaries(chunk_names, st.text(max_size=60) | st.dictionaries(keys, json_values).map(json.dumps))
)
@hypothesis_settings(max_examples=300, deadline=None)
def test_whatever_they_wrote_never_breaks_reading(texts: dict[str, str]):
    told = reader.read(texts)
    assert isinstance(told.settings, dict) and all(isinstance(note, str) for note in told.notes)
    json.dumps([told.settings, told.notes]).encode()


@pytest.mark.parametrize("sample", range(len(SAMPLES)))
def test_damaged_samples_never_break_reading(tmp_path: Path, sample: int):
    texts = SAMPLES[sample][1]
    for key, text in texts.items():
        for cut in range(0, len(text), 37):
            understand(save_png(tmp_path / "x.png", {**texts, key: text[:cut]}))
        for value in ("null", "[]", "3", '{"a": null}', '{"sui_image_params": {"loras": 3}}', '{"1": 3}'):
            understand(save_png(tmp_path / "x.png", {**texts, key: value}))
