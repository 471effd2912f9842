"""Captions: a real, tiny BLIP from a local folder, and plug-ins."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from recorder import Recorder

from webbduck_gradio.core.captioning import NO_STYLES
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.errors import CancelledError, GenerationError, ModelError, RequestError
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request import CaptionRequest

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "duck", "on", "pond"]


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipProcessor
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    folder = tmp_path_factory.mktemp("caption") / "tiny-blip"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {"bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    config = BlipConfig(
        text_config=small | ids | {"vocab_size": len(WORDS), "encoder_hidden_size": 16},
        vision_config=small | {"image_size": 32, "patch_size": 16},
    )
    torch.manual_seed(0)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    tokenizer = BertTokenizer(vocab=str(folder / "vocab.txt"))
    BlipProcessor(BlipImageProcessorPil(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture
def studio(settings, tmp_path, blip):
    settings = dataclasses.replace(settings, plugins=tmp_path / "plugins")
    (settings.checkpoints / "caption").mkdir(exist_ok=True)
    (settings.checkpoints / "caption" / "blip").symlink_to(blip)
    return settings


def plugin(settings, name: str, body: str) -> Path:
    path = settings.plugins / "captioners" / name / "captioner.py"
    path.parent.mkdir(parents=True)
    path.write_text(body)
    path.chmod(0o644)
    path.parent.chmod(0o755)
    return path


def caption(registry: Registry, name: str | None, **asked: object) -> tuple[str, tuple[str, ...]]:
    request = CaptionRequest.validated(image="0.png", captioner=name, **asked)
    picture = Image.new("RGB", (40, 30), "red")
    return ImageGenerator("cpu", registry).caption(picture, request, registry.captioner(name))


def test_a_model_from_a_local_folder(studio) -> None:
    registry = Registry(studio)
    text, warnings = caption(registry, "blip", max_tokens=8)
    assert isinstance(text, str) and set(text.split()) <= set(WORDS) | {word.lower() for word in WORDS}
    assert warnings[0] == NO_STYLES.format(name="blip")
    assert all("cut off after 8 tokens" in warning for warning in warnings[1:])
    assert caption(registry, "blip", max_tokens=8)[0] == text


class Asked(Recorder):
    """Notes which checkpoints are in memory when the work begins."""

    def __init__(self, generator: ImageGenerator, **more: int):
        super().__init__(**more)
        self.generator, self.in_memory = generator, []

    def status(self, text: str) -> None:
        self.in_memory.append((text, list(self.generator.pipelines.names)))


def test_memory_is_given_to_the_captioner_and_back(studio, generator, paint) -> None:
    registry = Registry(studio)
    before = paint()[0]
    assert generator.pipelines.names
    recorder = Asked(generator)
    request = CaptionRequest.validated(image="0.png", max_tokens=3)
    generator.caption(Image.new("RGB", (40, 30)), request, registry.captioner("blip"), recorder)
    assert recorder.in_memory == [("Captioning with blip", [])]
    assert numpy.array_equal(paint()[0], before)


def test_a_cancelled_caption_stops_between_two_words(studio) -> None:
    registry, generator = Registry(studio), ImageGenerator("cpu", None)
    stopped = Recorder(cancel_after=0)
    request = CaptionRequest.validated(image="0.png", max_tokens=30)
    with pytest.raises(CancelledError):
        generator.caption(Image.new("RGB", (40, 30)), request, registry.captioner("blip"), stopped)


def test_a_model_with_opening_texts_is_asked_for_the_style(studio, tmp_path, blip) -> None:
    folder = studio.checkpoints / "caption" / "styled"
    shutil.copytree(blip, folder)
    prompts = {"short": "a red", "booru": "pond"}
    (folder / "webbduck.json").write_text(json.dumps({"style_prompts": prompts, "warning": "Only ducks."}))
    registry = Registry(studio)
    said = {
        style: caption(registry, "styled", style=style, max_tokens=6)
        for style in ("short", "booru", "detailed")
    }
    assert said["short"][0] != said["booru"][0]
    assert all("a red" not in text for text, _ in said.values())  # what was given is not part of the answer
    assert said["short"][1][0] == "Only ducks."
    assert NO_STYLES.format(name="styled") in said["detailed"][1]
    assert NO_STYLES.format(name="styled") not in said["short"][1]
    (folder / "webbduck.json").write_text('{"style_prompts": 3}')
    with pytest.raises(ModelError, match="style_prompts must map styles to texts"):
        caption(registry, "styled")


def test_plug_ins_of_the_first_version(studio) -> None:
    body = (
        "def generate_caption(image, style, max_tokens):\n    return f'{style} {image.size} {max_tokens}'\n"
    )
    plugin(studio, "mine", body)
    plugin(studio, "odd", "def generate_caption(image, style, max_tokens):\n    return 3\n")
    plugin(studio, "broken", "import nothing_of_this_name\n")
    registry = Registry(studio)
    assert [each.name for each in registry.captioners()] == ["broken", "mine", "odd", "blip"]
    assert caption(registry, "mine", style="booru", max_tokens=9) == ("booru (40, 30) 9", ())
    with pytest.raises(GenerationError, match="did not return a text"):
        caption(registry, "odd")
    with pytest.raises(GenerationError, match="ModuleNotFoundError"):
        caption(registry, "broken")
    with pytest.raises(RequestError, match="style must be one of"):
        caption(registry, "mine", style="rude")
    with pytest.raises(RequestError, match="no captioner named 'none'"):
        caption(registry, "none")


def test_a_plug_in_that_others_could_change_is_not_run(studio) -> None:
    marker = studio.plugins / "ran"
    path = plugin(studio, "open", f"open({str(marker)!r}, 'w').close()\n")
    path.chmod(0o666)
    with pytest.raises(ModelError, match=r"others than you can change .*captioner.py; `chmod go-w"):
        caption(Registry(studio), "open")
    path.chmod(0o644)
    for folder in (path.parent, studio.plugins / "captioners", studio.plugins):
        folder.chmod(0o777)  # there, others could put another file in its place
        with pytest.raises(ModelError, match=f"others than you can change {folder.name};"):
            caption(Registry(studio), "open")
        folder.chmod(0o755)
    assert not marker.exists()
    with pytest.raises(GenerationError, match="AttributeError"):  # now it runs, and has no generate_caption
        caption(Registry(studio), "open")
    assert marker.exists()


def test_folders_that_cannot_be_used_say_why(studio) -> None:
    root = studio.checkpoints / "caption"
    for name, files in {
        "pickled": {"config.json": "{}", "pytorch_model.bin": ""},
        "cut": {"config.json": "{}", "model.safetensors": ""},
        "odd": {"config.json": "{"},
    }.items():
        (root / name).mkdir()
        for file, text in files.items():
            (root / name / file).write_text(text)
    reasons = {each.name: each.unusable for each in Registry(studio).captioners()}
    assert reasons["blip"] is None
    assert "no safetensors" in str(reasons["pickled"]) and "is empty" in str(reasons["cut"])
    assert "not valid JSON" in str(reasons["odd"])
