"""SwarmUI, Fooocus, InvokeAI, NovelAI, Draw Things, Easy Diffusion: by their meaning, and the rest named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gallery_helpers import picture
from test_foreign import FOOOCUS, INVOKEAI, SWARM, save_png
from test_reuse import ALL, Installed, Shelf

from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.metadata.other_tools import reader
from webbduck_gradio.gallery.metadata.recall import read_settings, read_text


def said(told: reader.ForeignSettings, *words: str) -> bool:
    return any(all(word in note for word in words) for note in told.notes)


def swarm(**params: Any) -> reader.ForeignSettings:
    data = {**SWARM, "sui_image_params": SWARM["sui_image_params"] | params}
    return reader.read({"parameters": json.dumps(data)})


def test_swarmuis_sections_are_not_the_pictures_prompt():
    told = swarm(
        prompt="a red duck <lora:ink:0.5> <random:a|b> pond <segment:face> a smile <object:hat> blue"
    )
    assert told.settings["prompt"] == "a red duck  <random:a|b> pond"
    assert told.settings["loras"] == [{"name": "party-hat", "weight": 0.8}, {"name": "ink", "weight": 0.5}]
    assert said(told, "<segment:face> a smile <object:hat> blue") and said(told, "<random:...>")


SWARM_REFINERS = [
    (
        {"refinermodel": "fine", "refinercontrolpercentage": 0.2, "refinermethod": "StepSwap"},
        {"second_pass_model": "fine", "second_pass_mode": "refiner", "refiner_switch": 0.8},
        None,
    ),
    (
        {
            "refinermodel": "fine",
            "refinercontrolpercentage": 0.4,
            "refinermethod": "PostApply",
            "refinersteps": 20,
        },
        {
            "second_pass_model": "fine",
            "second_pass_mode": "img2img",
            "refinement_strength": 0.4,
            "second_pass_steps": 20,
        },
        "second pass",
    ),
    (
        {"refinercontrolpercentage": 0.4, "refinerupscale": 1.5, "refinersteps": 20},
        {"hires_scale": 1.5, "hires_strength": 0.4, "hires_steps": 8, "hires_upscaler": "Lanczos"},
        "taken over as the hires pass",
    ),
    (
        {
            "refinercontrolpercentage": 0.4,
            "refinerupscale": 2,
            "refinerupscalemethod": "model-4x_fine.pth",
            "refinermodel": "fine",
            "refinersteps": 20,
            "refinercfgscale": 4,
        },
        {
            "hires_scale": 2,
            "hires_strength": 0.4,
            "hires_steps": 8,
            "hires_upscaler": "4x_fine",
            "hires_model": "fine",
            "hires_cfg": 4,
        },
        "taken over as the hires pass",
    ),
    (
        {
            "refinercontrolpercentage": 0.4,
            "refinerupscale": 2,
            "refinerupscalemethod": "latent-bislerp",
            "refinersteps": 20,
        },
        {"hires_scale": 2, "hires_strength": 0.4, "hires_steps": 8},
        "There is no upscaler latent-bislerp here",
    ),
    (
        {"refinercontrolpercentage": 0.4, "refinerupscale": 1.5, "refinermethod": "StepSwap"},
        {},
        "upscaled the picture 1.5 times",
    ),
    ({"refinermodel": "fine"}, {}, "fine"),
]


@pytest.mark.parametrize(("params", "expected", "note"), SWARM_REFINERS)
def test_swarmuis_refiner(params: dict, expected: dict, note: str | None):
    told = swarm(**params)
    keys = (
        "second_pass_model",
        "second_pass_mode",
        "refiner_switch",
        "refinement_strength",
        "second_pass_steps",
    )
    hires = [key for key in told.settings if key.startswith("hires_")]
    assert {key: told.settings[key] for key in (*keys, *hires) if key in told.settings} == expected
    assert said(told, note) if note else told.notes == ()


def test_swarmuis_other_settings():
    told = swarm(
        clipstopatlayer=-3, variationseed=4, vae="x.vae", controlnetmodel="canny", loratencweights=["0.2"]
    )
    assert told.settings["clip_skip"] == 3
    assert said(told, "variationseed 4", "vae x.vae", "controlnetmodel canny")
    assert told.settings["loras"] == [{"name": "party-hat", "weight": 0.8, "te_weight": 0.2}]
    told = swarm(loras="party-hat,ink", loraweights="0.8,1", lorasectionconfinement="0,3")
    assert told.settings["loras"] == [{"name": "party-hat", "weight": 0.8}] and said(told, "ink", "left out")
    assert "strength" not in swarm(initimagecreativity=0).settings
    assert swarm(initimagecreativity=0.6).settings["strength"] == 0.6


def fooocus(**params: Any) -> reader.ForeignSettings:
    return reader.read({"parameters": json.dumps({**FOOOCUS, **params}), "fooocus_scheme": "fooocus"})


def test_fooocus():
    told = fooocus(loras=[["sd_xl_offset_example-lora_1.0", 0.1, "4852686128"], ["ink", 0.5, "0123456789"]])
    assert told.settings["loras"] == [
        {"name": "sd_xl_offset_example-lora_1.0", "weight": 0.1},
        {"name": "ink", "weight": 0.5},
    ], "named in two places, taken once"
    assert told.settings["lora_hashes"]["ink"] == "0123456789"
    assert said(told, "styles ['Fooocus V2']") and not said(told, "sharpness")
    told = fooocus(
        sharpness=7.5, refiner_model="fine.safetensors", refiner_switch=0.6, refiner_swap_method="vae"
    )
    assert said(told, "sharpness 7.5", "refiner swap method vae")
    assert (told.settings["second_pass_model"], told.settings["refiner_switch"]) == ("fine", 0.6)


def test_fooocus_in_a1111s_form_keeps_the_weights_of_its_loras():
    text = (
        "a red duck\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 5, Size: 896x1152, CFG scale: 4, "
        "Model: lake, "
        'Lora hashes: "hat: 0123456789, ink: ba98765432", Lora weights: "hat: 0.7, ink: -0.25", '
        "Version: Fooocus v2.5.5"
    )
    told = reader.read({"parameters": text})
    assert told.settings["loras"] == [{"name": "hat", "weight": 0.7}, {"name": "ink", "weight": -0.25}]
    assert told.settings["lora_hashes"] == {"hat": "0123456789", "ink": "ba98765432"}


def invoke(**params: Any) -> reader.ForeignSettings:
    return reader.read({"invokeai_metadata": json.dumps({**INVOKEAI, **params})})


def test_invokeais_nulls_say_nothing():
    names = (
        "loras",
        "controlnets",
        "vae",
        "strength",
        "init_image",
        "positive_style_prompt",
        "refiner_model",
        "refiner_steps",
        "negative_style_prompt",
        "clip_skip",
        "hrf_enabled",
        "seamless_x",
    )
    told = invoke(**dict.fromkeys(names))
    assert told.notes == () and told.settings["seed"] == 4015 and "strength" not in told.settings
    told = invoke(negative_prompt=None, model=None, seed=None)
    assert told.notes == () and "base_model" not in told.settings


def test_invokeais_style_prompt_is_the_second_encoders():
    told = invoke(positive_style_prompt="oil", negative_style_prompt="grain")
    assert told.settings["prompt_2"] == "oil" and said(told, "negative style prompt", "grain")
    told = invoke(positive_style_prompt=INVOKEAI["positive_prompt"], negative_style_prompt="")
    assert "prompt_2" not in told.settings and told.notes == ()


def test_invokeais_refiner_and_layers():
    told = invoke(
        refiner_model={"model_name": "fine"},
        refiner_start=0.7,
        refiner_steps=20,
        controlnets=[{"control_model": {"name": "canny"}}],
        ipAdapters=[{"ip_adapter_model": {"model_name": "plus"}}],
        canvas_v2_metadata={"regionalGuidance": []},
        vae={"name": "fixed"},
    )
    assert (told.settings["second_pass_model"], told.settings["refiner_switch"]) == ("fine", 0.7)
    assert said(
        told,
        "ControlNet (canny)",
        "IP-Adapter (plus)",
        "layers of the canvas",
        "vae fixed",
        "refiner steps 20",
    )


def test_invokeais_older_forms():
    image = {
        "prompt": [{"prompt": "a red duck [fog]", "weight": 1}],
        "steps": 20,
        "cfg_scale": 6.5,
        "seed": 5,
        "sampler": "k_euler_a",
        "width": 832,
        "height": 1216,
        "type": "txt2img",
        "strength": None,
        "postprocessing": "gfpgan",
    }
    told = reader.read({"sd-metadata": json.dumps({"model_weights": "lake", "image": image})})
    expected = {
        "prompt": "a red duck",
        "negative_prompt": "fog",
        "steps": 20,
        "cfg": 6.5,
        "seed": 5,
        "width": 832,
        "height": 1216,
        "sampler": "k_euler_a",
    }
    assert told.settings == {**expected, "base_model": "lake"} and said(told, "postprocessing gfpgan")
    told = reader.read({"Dream": '"a red duck [fog]" -s 20 -S 5 -W 832 -H1216 -C 6.5 -A k_euler_a'})
    assert told.settings == expected


def novelai(**params: Any) -> reader.ForeignSettings:
    comment = {
        "steps": 20,
        "scale": 6.5,
        "seed": 5,
        "sampler": "k_dpmpp_2m",
        "noise_schedule": "karras",
        "uc": "fog",
        "width": 832,
        "height": 1216,
        "strength": 0.7,
        **params,
    }
    return reader.read(
        {
            "Comment": json.dumps(comment),
            "Description": "a red duck",
            "Software": "NovelAI",
            "Source": "NovelAI Diffusion V4 ABCDEF12",
        }
    )


def test_novelai():
    told = novelai(request_type="PromptGenerateRequest", sm=True, cfg_rescale=0.2)
    assert told.settings == {
        "prompt": "a red duck",
        "negative_prompt": "fog",
        "steps": 20,
        "cfg": 6.5,
        "seed": 5,
        "width": 832,
        "height": 1216,
        "sampler": "k_dpmpp_2m",
        "schedule": "karras",
        "base_model": "NovelAI Diffusion V4",
        "model_hash": "ABCDEF12",
    }
    assert said(told, "SMEA", "CFG rescale")
    assert novelai().settings["strength"] == 0.7
    caption = {"base_caption": "a {red} duck", "char_captions": [{"char_caption": "a hat", "centers": []}]}
    told = novelai(v4_prompt={"caption": caption})
    assert told.settings["prompt"] == "a {red} duck" and said(told, "a hat") and said(told, "emphasis")


def test_draw_things():
    data = {
        "c": "a red duck",
        "uc": "fog",
        "steps": 20,
        "scale": 6.5,
        "sampler": "Euler A",
        "seed": 5,
        "strength": 1,
        "size": "832x1216",
        "model": "lake.ckpt",
        "lora": [{"model": "hat.ckpt", "weight": 0.8}],
        "control": [{"file": "canny.ckpt"}],
    }
    told = reader.read({"parameters": json.dumps(data)})
    assert told.tool == "drawthings" and said(told, "control")
    assert told.settings == {
        "prompt": "a red duck",
        "negative_prompt": "fog",
        "steps": 20,
        "cfg": 6.5,
        "sampler": "Euler A",
        "seed": 5,
        "width": 832,
        "height": 1216,
        "base_model": "lake",
        "loras": [{"name": "hat", "weight": 0.8}],
    }
    assert reader.read({"parameters": json.dumps({**data, "strength": 0.4})}).settings["strength"] == 0.4


EASY = [
    {
        "prompt": "a red duck",
        "negative_prompt": "fog",
        "seed": "5",
        "num_inference_steps": "20",
        "width": "832",
        "height": "1216",
        "guidance_scale": "6.5",
        "sampler_name": "euler_a",
        "use_stable_diffusion_model": "lake.ckpt",
        "use_lora_model": "['hat', 'ink']",
        "lora_alpha": "[0.8, 1]",
        "use_vae_model": "fixed",
    },
    {
        "Prompt": "a red duck",
        "Negative Prompt": "fog",
        "Seed": "5",
        "Steps": "20",
        "Width": "832",
        "Height": "1216",
        "Guidance Scale": "6.5",
        "Sampler": "euler_a",
        "Stable Diffusion model": "lake.ckpt",
        "LoRA model": "['hat', 'ink']",
        "LoRA Strength": "[0.8, 1]",
        "VAE model": "fixed",
    },
]


@pytest.mark.parametrize("chunks", EASY)
def test_easy_diffusion(chunks: dict[str, str]):
    for told in (reader.read(chunks), reader.read({"parameters": json.dumps(EASY[0])})):
        assert told.tool == "easydiffusion" and said(told, "fixed")
        assert told.settings == {
            "prompt": "a red duck",
            "negative_prompt": "fog",
            "steps": 20,
            "cfg": 6.5,
            "seed": 5,
            "width": 832,
            "height": 1216,
            "sampler": "euler_a",
            "base_model": "lake",
            "loras": [{"name": "hat", "weight": 0.8}, {"name": "ink", "weight": 1.0}],
        }


def test_sdnext():
    text = "a red duck\nSteps: 20, Size: 832x1216, Sampler: Euler a, Seed: 5, CLIP skip: 3, App: SD.Next"
    told = reader.read({"parameters": text})
    assert (told.tool, told.settings["clip_skip"]) == ("sdnext", 3)


def test_a_random_seed_is_no_seed():
    values, notes = read_text("a duck\nSteps: 20, Sampler: Euler, Seed: -1, Size: 64x64", ALL, ALL)
    assert "seed" not in values and any("random" in note for note in notes)


def test_half_a_surrogate_pair_is_made_whole(tmp_path):
    path = save_png(
        tmp_path / "x.png", {"parameters": json.dumps(SWARM).replace("sd_xl_base_1.0", "\\ud800")}
    )
    found = metadata.read(path)
    assert found["settings"]["base_model"] == "\ufffd"
    json.dumps(found["settings"]).encode()


def test_a_record_of_ours_with_wrong_types_is_named(tmp_path):
    chunk = {"request": {"prompt": "a duck", "base_model": "lake", "seed": 5}, "facts": [1], "warnings": 3}
    path = save_png(tmp_path / "x.png", {"webbduck": json.dumps(chunk)})
    found = metadata.read(path)
    assert found["webbduck"]["facts"] == {} and "warnings" not in found["webbduck"]
    assert "facts, warnings" in found["problems"][0]
    chunk |= {"facts": {"lora_hashes": {"hat": 5}, "model_hash": 7}, "warnings": []}
    values, notes = read_settings(save_png(tmp_path / "y.png", {"webbduck": json.dumps(chunk)}), ALL, ALL)
    assert values["seed"] == 5 and any("lora_hashes" in note and "model_hash" in note for note in notes)


def test_a_folder_decides_between_models_of_the_same_name(tmp_path):
    text = "a duck <lora:hat:1>\nSteps: 20, Sampler: Euler, Seed: 5, Size: 64x64, Model: xl\\lake.safetensors"
    shelf = Shelf([Installed("xl/lake"), Installed("old/lake")], [Installed("a/hat"), Installed("b/hat")])
    values, notes = read_text(text, shelf, shelf)
    assert values["base_model"] == "xl/lake"
    assert values["loras"] == [] and any("a/hat or b/hat" in note for note in notes)
    graph = {
        "1": {
            "class_type": "LoraLoader",
            "inputs": {
                "lora_name": "b\\hat.safetensors",
                "strength_model": 1,
                "strength_clip": 1,
                "model": ["2", 0],
            },
        },
        "2": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "old/lake.safetensors"}},
        "3": {
            "class_type": "KSampler",
            "inputs": {"sampler_name": "euler", "steps": 5, "cfg": 5, "seed": 5, "model": ["1", 0]},
        },
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
    }
    values, _ = read_settings(save_png(tmp_path / "x.png", {"prompt": json.dumps(graph)}), shelf, shelf)
    assert (values["base_model"], values["loras"]) == ("old/lake", [{"name": "b/hat", "weight": 1.0}])


def test_what_has_no_counterpart_is_counted_where_it_is_too_much_to_name(tmp_path):
    more = ", ".join(f"Odd {at}: {at}" for at in range(20))
    _, notes = read_text(f"a duck\nSteps: 20, Sampler: Euler, Seed: 5, Size: 64x64, {more}", ALL, ALL)
    assert any("Odd 11 11 and 8 more" in note for note in notes)


def test_the_gallery_shows_no_note_as_damage(tmp_path):
    path = save_png(
        tmp_path / "x.png", {"parameters": "a <lora:x:1:dyn=2> duck\nSteps: 20, Sampler: Euler, Seed: 5"}
    )
    found = metadata.read(path)
    assert found["problems"] == [] and found["notes"]
    picture().save(tmp_path / "y.png")
    assert metadata.read(tmp_path / "y.png")["notes"] == []


def test_a_prompt_that_begins_with_a_brace_is_no_json(tmp_path):
    text = "{a red|a blue} duck\nSteps: 20, Sampler: Euler, Seed: 5, Size: 64x64, Odd: 3"
    found = metadata.read(save_png(tmp_path / "x.png", {"parameters": text}))
    assert found["prompt"] == "{a red|a blue} duck" and found["fields"]["Odd"] == "3"


@pytest.mark.parametrize("chunk", ["Comment", "Description", "UserComment"])
def test_a1111s_text_under_another_name(tmp_path, chunk: str):
    text = "a duck\nSteps: 20, Sampler: Euler, Seed: 5, Size: 64x64, Odd: 3"
    values, notes = read_settings(save_png(tmp_path / "x.png", {chunk: text, "Author": "me"}), ALL, ALL)
    assert (values["prompt"], values["seed"]) == ("a duck", 5) and any("Odd 3" in note for note in notes)


def test_loras_that_are_told_without_weights_are_named():
    text = "a duck\nSteps: 20, Sampler: Euler, Seed: 5, Size: 64x64, "
    told = reader.read({"parameters": text + 'Lora hashes: "hat: 0123456789ab"'})
    assert said(told, "hat", "weights are not recorded")
    resources = json.dumps(
        [{"type": "lora", "weight": 0.8, "modelName": "Party hats"}, {"type": "checkpoint"}]
    )
    assert said(reader.read({"parameters": f"{text}Civitai resources: {resources}"}), "Party hats 0.8")
    _, notes = read_text(text + 'TI hashes: "easynegative: 0123456789ab"', ALL, ALL)
    assert "The embedding easynegative is not installed; its name in the prompt is read as words." in notes


def test_what_was_done_afterwards_is_said():
    text = "a duck\nSteps: 20, Sampler: Euler, Seed: 5, Size: 64x64"
    told = reader.read({"parameters": text, "postprocessing": "Postprocess upscale by: 4"})
    assert said(told, "postprocessed", "upscale by: 4")


def test_ruinedfooocus():
    data = {
        "Prompt": "a red duck",
        "Negative": "fog",
        "steps": 20,
        "cfg": 6.5,
        "width": 832,
        "height": 1216,
        "seed": 5,
        "sampler_name": "euler",
        "scheduler": "simple",
        "base_model_name": "lake.safetensors",
        "loras": [["hat.safetensors", 0.8]],
        "software": "RuinedFooocus",
    }
    assert reader.read({"parameters": json.dumps(data)}).settings == {
        "prompt": "a red duck",
        "negative_prompt": "fog",
        "steps": 20,
        "cfg": 6.5,
        "seed": 5,
        "width": 832,
        "height": 1216,
        "sampler": "euler",
        "schedule": "simple",
        "base_model": "lake",
        "loras": [{"name": "hat", "weight": 0.8}],
    }
