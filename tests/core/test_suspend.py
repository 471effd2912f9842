"""A job that is put aside goes on as if nothing had happened, or says why it cannot."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from making import copy_of, store
from PIL import Image
from recorder import Recorder
from safetensors import safe_open
from safetensors.torch import save_file

from webbduck_gradio.core import devices, origin, vae
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.progress import Continuation, GeneratedImage, UnfinishedState
from webbduck_gradio.core.unfinished import DAMAGED, FOREIGN
from webbduck_gradio.errors import GenerationError, ModelError, SuspendedError
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.request.samplers import AUTOMATIC, SAMPLERS, fewest_steps, joined_name, sampler_named
from webbduck_gradio.settings import Settings

STARTER = "webbduck-starter"
REFINER = "refiner"
WIDE = {"width": 576, "height": 64}
"""Wider than a tile."""

MODES: dict[str, dict[str, Any]] = {
    "text2img": {"prompt": "a (red:1.4) duck on a [pond]"},
    "a prompt that changes": {"prompt": "a [red|blue] duck AND [a pond:fog:0.5] :0.7", "sampler": "DPM2 a"},
    "img2img": {"image": True, "strength": 0.8},
    "inpaint": {"image": True, "mask": True, "strength": 0.9, "masked_content": "original"},
    "soft inpainting": {
        "image": True,
        "mask": True,
        "strength": 0.9,
        "masked_content": "latent noise",
        "soft_inpainting": "on",
    },
    "inpainting checkpoint": {"image": True, "mask": True, "base_model": "painter"},
    "outpainting in two parts": {"image": True, "outpaint": {"right": 112}, "width": 208, "height": 80},
    "img2img second pass": {"second_pass_model": STARTER, "refinement_strength": 0.6},
    "refiner": {"second_pass_model": REFINER, "refiner_switch": 0.5},
    "hires": {
        "loras": [{"name": "whole", "weight": 0.7}],
        "hires_scale": 1.5,
        "hires_upscaler": "Lanczos",
        "hires_prompt": "a duck <lora:unet:0.5>",
        "hires_sampler": "Euler a",
    },
    "hires after a second pass": {
        "second_pass_model": STARTER,
        "hires_scale": 1.5,
        "hires_upscaler": "Latent",
        "hires_steps": 2,
    },
    "LoRA": {"loras": [{"name": "whole", "weight": 0.7}]},
    "LoRA of some steps": {
        "loras": [{"name": "whole", "weight": 0.7, "blocks": "OUTALL", "start": 0.25, "end": 0.75}]
    },
    "guidance": {"sampler": "Euler", "ngms": 4.0, "pag_scale": 2.0, "guidance_start": 0.2, "mimic_cfg": 3.0},
    "noise of NVIDIA's cards": {"sampler": "Euler a", "noise_source": "nv", "ensd": 5, "s_noise": 0.9},
    "variation": {
        "sampler": "DPM++ SDE",
        "noise_source": "nv",
        "variation_seed": 3,
        "variation_strength": 0.4,
    },
}


def write(state: UnfinishedState, path: Path) -> Path:
    with path.open("wb") as file:
        state.write(file)
    return path


class Saver(Recorder):
    """Writes the state after each step to a file of its own; with `until`, is put aside there."""

    def __init__(self, folder: Path, until: int | None = None):
        super().__init__()
        folder.mkdir(exist_ok=True)
        self.folder, self.until = folder, until
        self.files: list[Path] = []
        self.states: list[UnfinishedState] = []

    def wants_state(self) -> bool:
        return True

    def state(self, state: UnfinishedState) -> None:
        assert (state.index, state.step, state.total) == self.steps[-1]
        self.files.append(self.folder / f"{len(self.files)}.safetensors")
        self.states.append(state)
        write(state, self.files[-1])

    def check(self) -> None:
        if self.until is not None and len(self.steps) >= self.until:
            raise SuspendedError("Put aside.")


Pictures = list[GeneratedImage]
Draw = Callable[..., Pictures]


@pytest.fixture(scope="module")
def new(registry) -> Callable[[], ImageGenerator]:
    """A generator that has loaded nothing, as after a restart."""
    return lambda: ImageGenerator("cpu", registry, inputs=InputImageStore(registry.settings))


@pytest.fixture(scope="module")
def restarted(new) -> ImageGenerator:
    """One that has drawn nothing of a test's job before; shared, since to load takes longer than to draw."""
    return new()


@pytest.fixture(scope="module")
def draw(generator, registry, ask, image, mask) -> Draw:
    def make(
        reporter: Recorder | None = None,
        on: Continuation | None = None,
        by: ImageGenerator | None = None,
        **fields: Any,
    ) -> Pictures:
        given = {"image": image, "mask": mask}
        request = ask(**{name: given[name] if value is True else value for name, value in fields.items()})
        checkpoint = registry.checkpoint(request.base_model)
        return list(
            (by or generator).generate(request, checkpoint, reporter or Recorder(), on or Continuation())
        )

    return make


@pytest.fixture
def put_aside(draw, tmp_path) -> Callable[..., Path]:
    """The state of a job that was put aside after `after` steps."""

    def make(after: int = 2, **fields: Any) -> Path:
        saver = Saver(tmp_path, after)
        with pytest.raises(SuspendedError):
            draw(saver, **fields)
        return saver.files[-1]

    return make


def seen(pictures: Pictures) -> list[tuple[Any, ...]]:
    """All that must be equal."""
    return [(each.index, each.seed, each.image.tobytes(), each.warnings, each.facts) for each in pictures]


def saved(files: list[Path]) -> list[dict[str, str]]:
    """What tells states apart to the last bit: each header has a checksum of everything else."""
    return [safe_open(file, framework="pt").metadata() for file in files]


def fewest(name: str) -> int:
    return fewest_steps(sampler_named(name), AUTOMATIC)


@pytest.mark.parametrize("name", [each.name for each in SAMPLERS])
def test_each_sampler_goes_on_after_a_restart(draw, restarted, tmp_path, name: str) -> None:
    asked = {"scheduler": joined_name(name, AUTOMATIC), "steps": max(4, fewest(name))}
    whole, rest = Saver(tmp_path / "whole"), Saver(tmp_path / "rest")
    expected = draw(whole, **asked)
    # Late, so that multistep samplers remember much; DPM fast has two steps only.
    done = max(1, len(whole.files) - 2)
    assert seen(draw(rest, Continuation(0, whole.files[done - 1]), restarted, **asked)) == seen(expected)
    assert rest.files and saved(rest.files) == saved(whole.files[done:])


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_goes_on_wherever_it_was_put_aside(draw, tmp_path, mode: str) -> None:
    asked = {"sampler": "DPM++ 3M SDE"} | MODES[mode]
    asked["steps"] = max(4, fewest(asked["sampler"]))
    expected = seen(draw(**asked))
    saver = Saver(tmp_path)
    assert seen(draw(saver, **asked)) == expected
    for number, state in list(enumerate(saver.files))[::2]:  # in each pass, an image's first step among them
        rest = Saver(tmp_path / f"rest {number}")
        assert seen(draw(rest, Continuation(0, state), **asked)) == expected, number
        assert saved(rest.files) == saved(saver.files[number + 1 :]), number


def test_a_batch_goes_on_within_its_second_image(draw, tmp_path) -> None:
    asked = {"num_images": 3, "scheduler": "Euler a"}
    expected = seen(draw(**asked))
    saver = Saver(tmp_path)
    draw(saver, **asked)
    for state, (index, step, _) in zip(saver.files, saver.steps, strict=True):
        if index == 1:
            assert seen(draw(on=Continuation(1, state), **asked)) == expected[1:], step
    assert seen(draw(on=Continuation(2), **asked)) == expected[2:]
    assert draw(on=Continuation(3), **asked) == []


def test_it_can_be_put_aside_again_and_again(draw, tmp_path) -> None:
    asked = {"scheduler": "DPM++ 2M SDE", "steps": 5}
    on = Continuation()
    for number in range(5):
        saver = Saver(tmp_path, 1)
        with pytest.raises(SuspendedError):
            draw(saver, on, **asked)
        assert saver.steps == [(0, number + 1, 5)]
        on = Continuation(0, saver.files[-1].rename(tmp_path / f"again {number}"))
    assert seen(draw(on=on, **asked)) == seen(draw(**asked))


def test_a_state_stays_as_it_was_while_the_job_goes_on(draw, tmp_path) -> None:
    """Another thread may write it later."""
    saver = Saver(tmp_path)
    draw(saver, scheduler="DPM adaptive")
    later = [tmp_path / f"later {number}" for number in range(len(saver.states))]
    for path, state in zip(later, saver.states, strict=True):
        write(state, path)
    assert saved(later) == saved(saver.files)


def test_the_header_tells_how_far_it_is(put_aside) -> None:
    with safe_open(put_aside(3, num_images=2, steps=5), framework="pt") as file:
        texts = file.metadata()
    told = {name: texts[name] for name in ("format", "index", "step", "total")}
    assert told == {"format": "webbduck-unfinished-1", "index": "0", "step": "3", "total": "5"}


def test_what_it_depends_on_is_looked_up_once_and_only_if_a_state_is_wanted(
    draw, tmp_path, monkeypatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("webbduck_gradio.core.preparation.origin_of", lambda *of: asked.append(of) or {})
    draw(num_images=2)
    assert asked == []
    draw(Saver(tmp_path), num_images=2)
    assert len(asked) == 1


@pytest.mark.slow
def test_fifty_random_steps_of_random_jobs(draw, tmp_path) -> None:
    chance = random.Random(15)
    for number in range(50):
        sampler = chance.choice(SAMPLERS)
        mode = chance.choice([each for each in MODES if each != "refiner" or sampler.can_be_split])
        steps = max(chance.randint(4, 12), fewest(sampler.name))
        schedule = chance.choice(sampler.schedules or [AUTOMATIC])
        asked = MODES[mode] | {"sampler": sampler.name, "schedule": schedule, "steps": steps, "seed": number}
        saver = Saver(tmp_path)
        expected = draw(saver, **asked)
        state = chance.choice(saver.files)
        assert seen(draw(on=Continuation(0, state), **asked)) == seen(expected), (asked, state.stem)


# What has changed meanwhile


class Studio:
    """A checkpoint, a LoRA with a trigger and an input picture that may be changed."""

    def __init__(self, folder: Path, others: Settings):
        self.settings = Settings(
            checkpoints=folder / "checkpoint",
            loras=folder / "lora",
            outputs=folder / "out",
            inputs=folder / "in",
        )
        self.settings.make_folders()
        copy_of(others.checkpoints / "sdxl" / STARTER, self.settings.checkpoints / "sdxl" / STARTER)
        self.lora = self.settings.loras / "style.safetensors"
        self.lora.write_bytes((others.loras / "unet.safetensors").read_bytes())
        self.image = store(self.settings, Image.new("RGB", (64, 64), "red"))
        self.registry = Registry(self.settings)

    def draw(
        self, reporter: Recorder | None = None, on: Continuation | None = None, **fields: Any
    ) -> Pictures:
        """As a studio that was just started."""
        self.registry.refresh()
        asked = {"prompt": "a duck", "seed": 1, "steps": 4, "width": 64, "height": 64, "image": self.image}
        asked |= {"loras": [{"name": "style"}]} | fields
        request = build_request(self.registry, asked)
        generator = ImageGenerator("cpu", self.registry, inputs=InputImageStore(self.settings))
        return list(
            generator.generate(
                request, self.registry.checkpoint(STARTER), reporter or Recorder(), on or Continuation()
            )
        )


@pytest.fixture(scope="module")
def studio(folders, tmp_path_factory) -> Studio:
    return Studio(tmp_path_factory.mktemp("changing"), folders)


@pytest.fixture(scope="module")
def unfinished(studio, tmp_path_factory) -> Continuation:
    """A job of it that was put aside. What a test changes of the studio it changes back."""
    saver = Saver(tmp_path_factory.mktemp("unfinished"), 1)
    with pytest.raises(SuspendedError):
        studio.draw(saver)
    return Continuation(0, saver.files[0])


def test_a_model_that_was_written_again_is_refused(studio, unfinished) -> None:
    weights = studio.settings.checkpoints / "sdxl" / STARTER / "unet" / "diffusion_pytorch_model.safetensors"
    before = weights.stat()
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    changed = f"The checkpoint {STARTER} has changed since this job began; retry the job from the start."
    with pytest.raises(ModelError, match=f"^{changed}$"):
        studio.draw(on=unfinished)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert len(studio.draw(on=unfinished)) == 1


def test_a_changed_lora_is_refused(studio, unfinished, folders) -> None:
    studio.registry.edit_lora("style", {"trigger": "in oil"})
    with pytest.raises(GenerationError, match="trigger or a wildcard has changed"):
        studio.draw(on=unfinished)
    studio.registry.edit_lora("style", {"trigger": None})
    own = studio.lora.rename(studio.lora.with_suffix(".own"))
    shutil.copyfile(folders.loras / "whole.safetensors", studio.lora)
    with pytest.raises(ModelError, match=r"^The LoRA style has changed since this job began; retry"):
        studio.draw(on=unfinished)
    own.replace(studio.lora)


def test_another_input_picture_is_refused(studio, unfinished) -> None:
    path = studio.settings.inputs / studio.image
    before = path.read_bytes()
    Image.new("RGB", (64, 64), "blue").save(path)
    with pytest.raises(GenerationError, match=r"^The input picture has changed since this job began; retry"):
        studio.draw(on=unfinished)
    path.write_bytes(before)


def test_another_version_is_refused(studio, unfinished, monkeypatch) -> None:
    true = origin.version_of
    monkeypatch.setattr(origin, "version_of", lambda name: "9.9" if name == "diffusers" else true(name))
    with pytest.raises(
        GenerationError, match=r"^diffusers was .* when this job began, now it is 9\.9; retry"
    ):
        studio.draw(on=unfinished)


def test_another_precision_is_refused(draw, put_aside, registry) -> None:
    other = ImageGenerator("cpu", registry, precision="bfloat16")
    with pytest.raises(GenerationError, match=r"float32.* start it with --precision float32, or retry"):
        draw(on=Continuation(0, put_aside()), by=other)


def test_another_job_is_refused(draw, put_aside) -> None:
    state = put_aside(num_images=2)
    for on, asked in (
        (Continuation(0, state), {"prompt": "a goose"}),
        (Continuation(0, state), {"loras": [{"name": "whole"}]}),
        (Continuation(0, state), {"second_pass_model": STARTER}),
        (Continuation(1, state), {}),
    ):
        with pytest.raises(GenerationError, match=f"^{FOREIGN}$"):
            draw(on=on, num_images=2, **asked)
    # Neither changes a picture.
    assert len(draw(on=Continuation(0, state), output_format="webp", num_images=1)) == 1


def test_other_threads_are_said(draw, put_aside, new) -> None:
    state, before = put_aside(4), torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        (picture,) = draw(on=Continuation(0, state), by=new())
    finally:
        torch.set_num_threads(before)
    assert picture.warnings == (
        f"It was begun with {before} CPU threads and finished with {before + 1}; single pixels can differ "
        "slightly from a picture drawn in one go.",
    )


def test_what_a_lack_of_memory_changed_stays_changed(draw, new, tmp_path, monkeypatch) -> None:
    """Decoding in tiles, and the sentence about it."""
    decode, by, asked = vae.decode, new(), {"num_images": 2, "steps": 2, **WIDE}

    def once(*arguments: Any) -> Any:
        monkeypatch.setattr(vae, "decode", decode)
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(vae, "decode", once)
    saver = Saver(tmp_path)
    expected = draw(saver, by=by, **asked)
    assert expected[0].warnings and expected[0].facts["memory_policy"] == "tiled"
    (state,) = [file for file, step in zip(saver.files, saver.steps, strict=True) if step == (1, 1, 2)]
    assert seen(draw(on=Continuation(1, state), by=new(), **asked)) == seen(expected[1:])


def test_the_precision_that_the_vae_came_to_stays(draw, registry, tmp_path, monkeypatch) -> None:
    inner = AutoencoderKL._decode

    def decode(self: AutoencoderKL, raw: torch.Tensor) -> Any:
        decoded = inner(self, raw)
        decoded.sample *= float("nan") if raw.dtype == torch.bfloat16 else 1
        return decoded

    monkeypatch.setattr(AutoencoderKL, "_decode", decode)
    saver, asked = Saver(tmp_path), {"num_images": 2, "steps": 2}
    expected = draw(saver, by=ImageGenerator("cpu", registry, precision="bfloat16"), **asked)
    assert [each.warnings for each in expected] == [(vae.DECODED_IN_FP32,), ()]
    assert {each.facts["vae_dtype"] for each in expected} == {"float32"}
    for done, step in enumerate(((0, 1, 2), (1, 1, 2))):
        (state,) = [file for file, each in zip(saver.files, saver.steps, strict=True) if each == step]
        by = ImageGenerator("cpu", registry, precision="bfloat16")
        assert seen(draw(on=Continuation(done, state), by=by, **asked)) == seen(expected[done:])


def test_tiles_are_said_where_it_was_begun_without(draw, put_aside, registry, monkeypatch) -> None:
    tiled = ImageGenerator("cpu", registry, policy="tiled")
    (picture,) = draw(on=Continuation(0, put_aside(1, steps=2)), by=tiled, steps=2)
    assert picture.warnings == ()
    wide = put_aside(1, steps=2, **WIDE)
    (picture,) = draw(on=Continuation(0, wide), by=tiled, steps=2, **WIDE)
    assert picture.warnings == () and "memory_policy" not in picture.facts
    monkeypatch.setattr(devices, "free_bytes", lambda device: 1000)
    (picture,) = draw(on=Continuation(0, wide), by=tiled, steps=2, **WIDE)
    assert [each[:77] for each in picture.warnings] == [
        "It was begun with memory policy 'resident' and decoded in tiles with 'tiled';"
    ]
    assert picture.facts["memory_policy"] == "tiled"


@pytest.mark.parametrize("loras", [[{"name": "whole"}], []])
def test_loras_of_an_earlier_version_are_said(draw, put_aside, monkeypatch, loras) -> None:
    now, asked = origin.versions(), {"loras": loras, "steps": 2}
    with monkeypatch.context() as earlier:
        earlier.setattr(origin, "versions", lambda: {**now, "peft": "0.21.2"})
        state = put_aside(1, **asked)
    (picture,) = draw(on=Continuation(0, state), **asked)
    said = (
        "It was begun by an earlier version, which applied LoRAs differently; single pixels can differ "
        "slightly from a picture drawn in one go."
    )
    assert picture.warnings == ((said,) if loras else ())


# Files that are none


@pytest.fixture(scope="module")
def whole_state(draw, tmp_path_factory) -> bytes:
    """The file of a job that was put aside after its second step."""
    saver = Saver(tmp_path_factory.mktemp("whole"), 2)
    with pytest.raises(SuspendedError):
        draw(saver)
    return saver.files[-1].read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:5],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: bytes(len(data)),
        lambda data: data[:-64] + bytes(64),
        lambda data: data.replace(b'"step":"2"', b'"step":"1"'),
        lambda data: b"not a state at all " * 100,
    ],
)
def test_damaged_files_are_refused(draw, whole_state, tmp_path, damage: Callable[[bytes], bytes]) -> None:
    state = tmp_path / "state"
    state.write_bytes(damage(whole_state))
    assert state.read_bytes() != whole_state
    with pytest.raises(GenerationError, match=f"^{DAMAGED}$"):
        draw(on=Continuation(0, state))


def test_a_missing_file_is_refused(draw, tmp_path) -> None:
    for path, why in ((tmp_path / "none", "no such file or directory"), (tmp_path, "is a directory")):
        with pytest.raises(
            GenerationError, match=rf"cannot be read \({why}\); retry the job from the start\.$"
        ):
            draw(on=Continuation(0, path))


def test_other_files_of_the_format_are_refused(draw, tmp_path, folders) -> None:
    save_file({"x": torch.zeros(1, 4, 8, 8)}, tmp_path / "plain")
    for path in (tmp_path / "plain", folders.loras / "whole.safetensors"):
        with pytest.raises(GenerationError, match=f"^{FOREIGN}$"):
            draw(on=Continuation(0, path))


def test_states_that_fit_no_pass_are_refused(draw, tmp_path) -> None:
    """As no version writes them, with a correct checksum."""
    saver = Saver(tmp_path)
    draw(saver, scheduler="DPM++ 2M SDE")
    good: Any = saver.states[1]
    x = good.state.x
    odd = [
        replace(good, **changes)
        for changes in (
            {"state": replace(good.state, x=x[..., :4])},
            {"state": replace(good.state, x=x.double())},
            {"state": replace(good.state, memory=(x[:, :3],))},
            {"state": replace(good.state, denoised=x[0])},
            {"noise": torch.zeros(5056, dtype=torch.uint8)},
            {"noise": torch.zeros(1, 1)},
            {"stage": "later"},
            {"stage": "img2img"},
            {"stage": "refiner"},
            {"step": 9},
            {"step": 0},
            {"index": -1},
            {"evaluations": -1},
            {"warnings": (1,)},
            {"memory_warnings": 5},
            {"origin": []},
            {"origin": {}},
            {"origin": good.origin | {"versions": 5}},
            {"origin": good.origin | {"policy": ["tiled"], "checkpoints": [1]}},
        )
    ]
    for number, each in enumerate(odd):
        path = write(each, tmp_path / f"odd {number}")
        with pytest.raises(GenerationError, match="retry the job from the start"):
            draw(on=Continuation(0, path), scheduler="DPM++ 2M SDE")
    draw(on=Continuation(0, write(good, tmp_path / "good")), scheduler="DPM++ 2M SDE")
