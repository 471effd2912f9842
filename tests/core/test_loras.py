"""LoRAs: what was asked for is what is applied, several at once, and nothing stays behind."""

from __future__ import annotations

import numpy
import pytest
import torch
from recorder import Recorder
from safetensors.torch import load_file, save_file

from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.errors import ModelError
from webbduck_gradio.models.catalog.registry import Registry


def stack(*loras: tuple[str, float]) -> list[dict]:
    return [{"name": name, "weight": weight} for name, weight in loras]


def test_loras_change_the_picture_and_leave_nothing_behind(paint, generator, registry, starter, ask) -> None:
    bare = paint()
    whole, unet = paint(loras=stack(("whole", 1))), paint(loras=stack(("unet", 1)))
    both = paint(loras=stack(("whole", 1), ("unet", 1)))
    assert len({each[0].tobytes() for each in (bare, whole, unet, both)}) == 4
    assert numpy.array_equal(paint(), bare)
    assert numpy.array_equal(paint(loras=stack(("whole", 0))), bare)
    assert numpy.array_equal(paint(loras=stack(("whole", 1))), whole)
    (picture,) = ImageGenerator("cpu", registry).generate(ask(), starter, Recorder())
    assert numpy.array_equal(picture.image, bare[0])


def test_weights_scale_both_ways_and_nothing_is_clamped(paint) -> None:
    drawn = [paint(steps=2, loras=stack(("whole", weight)))[0] for weight in (-2, -1, 0.5, 1, 1.5, 2)]
    assert len({each.tobytes() for each in drawn}) == 6


def test_both_layouts_mean_the_same(paint) -> None:
    peft, kohya = paint(loras=stack(("whole", 1)))[0], paint(loras=stack(("kohya", 1)))[0]
    assert numpy.abs(peft - kohya).max() <= 2


def test_the_effect_is_that_of_weights_merged_by_hand(paint, registry, starter, ask) -> None:
    wanted = paint(loras=stack(("unet", 0.7)))[0]
    plain = ImageGenerator("cpu", registry)
    modules = dict(plain.pipelines.get(starter, lambda text: None).pipe.unet.named_modules())
    tensors = load_file(registry.lora("unet").path)
    for key in [key for key in tensors if ".lora_A." in key]:
        name = key.removeprefix("unet.").removesuffix(".lora_A.weight")
        modules[name].weight += 0.7 * tensors[key.replace("lora_A", "lora_B")] @ tensors[key]
    (picture,) = plain.generate(ask(), starter, Recorder())
    assert numpy.abs(numpy.asarray(picture.image).astype(int) - wanted).max() <= 2


def test_tags_in_the_prompt_equal_the_stack(paint, generator, starter, ask) -> None:
    expected = paint(loras=stack(("whole", 0.5)))[0]
    request = ask(prompt="a red duck on a pond <lora:whole:0.5>")
    (picture,) = generator.generate(request, starter, Recorder())
    assert numpy.array_equal(picture.image, expected)
    assert picture.facts["resolved_prompt"] == "a red duck on a pond"
    assert picture.facts["loras"] == [{"name": "whole", "weight": 0.5}]
    assert picture.facts["device"] == "cpu"


def test_a_batch_with_a_lora_and_a_long_weighted_prompt_equals_its_pictures_alone(paint) -> None:
    asked = {
        "prompt": "a (red:1.3) duck, on a pond at sunset, [with] a hat, " * 8 + "BREAK night",
        "negative_prompt": "(hat:1.4)",
        "loras": stack(("whole", 0.8)),
        "steps": 2,
    }
    batch = paint(**asked, num_images=3)
    paint()  # something else in between
    for index in (2, 0):
        assert numpy.array_equal(paint(**asked, seed=7 + index)[0], batch[index])


def test_one_that_fits_in_part_is_refused_and_the_next_job_is_untouched(folders, ask, paint) -> None:
    bare = paint()
    tensors = load_file(folders.loras / "unet.safetensors")
    extra = {"unet.nowhere.attn2.to_q.lora_A.weight": torch.ones(4, 8)}
    extra["unet.nowhere.attn2.to_q.lora_B.weight"] = torch.ones(8, 4)
    save_file(tensors | extra, folders.loras / "partly.safetensors")
    registry = Registry(folders)
    generator = ImageGenerator("cpu", registry)
    checkpoint = registry.checkpoint("webbduck-starter")
    with pytest.raises(ModelError, match="The LoRA partly does not fit"):
        list(generator.generate(ask(loras=stack(("partly", 1))), checkpoint, Recorder()))
    (picture,) = generator.generate(ask(), checkpoint, Recorder())
    assert numpy.array_equal(picture.image, bare[0])
    (picture,) = generator.generate(ask(loras=stack(("unet", 1))), checkpoint, Recorder())
    assert numpy.array_equal(picture.image, paint(loras=stack(("unet", 1)))[0])
