"""The real generator on the real starter checkpoint; loaded once, since it keeps what it has loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from making import copy_of, inpaint_copy, lora, refiner_copy, store, vae_file
from PIL import Image, ImageDraw
from recorder import Recorder
from request_checks import validate

from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Checkpoint, Registry
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings


@pytest.fixture(scope="session")
def folders(starter_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A studio with the starter, an inpainting one and a refiner made from it, and LoRAs that fit it."""
    folder = tmp_path_factory.mktemp("studio")
    settings = Settings(
        checkpoints=folder / "checkpoint",
        loras=folder / "lora",
        outputs=folder / "out",
        inputs=folder / "in",
        wildcards=folder / "wildcards",
    )
    settings.make_folders()
    sdxl, starter = settings.checkpoints / "sdxl", starter_checkpoints / "sdxl" / "webbduck-starter"
    starter = copy_of(starter, sdxl / starter.name)  # it may be trained further meanwhile
    inpaint_copy(starter, sdxl / "painter")
    shutil.copytree(starter_checkpoints / "detect", settings.checkpoints / "detect")
    vae_file(starter, settings.checkpoints / "vae" / "other.safetensors")
    refiner_copy(starter, sdxl / "refiner")
    pipe = (
        ImageGenerator("cpu")
        .pipelines.get(Registry(settings).checkpoint(starter.name), lambda text: None)
        .pipe
    )
    lora(pipe, settings.loras / "whole.safetensors", seed=1)
    lora(pipe, settings.loras / "kohya.safetensors", seed=1, layout="kohya")
    lora(pipe, settings.loras / "unet.safetensors", seed=2, text=False)
    return settings


@pytest.fixture(scope="session")
def registry(folders: Settings) -> Registry:
    return Registry(folders)


@pytest.fixture(scope="session")
def starter(registry: Registry) -> Checkpoint:
    return registry.checkpoint("webbduck-starter")


@pytest.fixture(scope="session")
def generator(registry: Registry) -> ImageGenerator:
    return ImageGenerator("cpu", registry, inputs=InputImageStore(registry.settings))


@pytest.fixture(scope="session")
def pipe(generator: ImageGenerator, starter: Checkpoint) -> Any:
    return generator.pipelines.get(starter, lambda text: None).pipe


Ask = Callable[..., GenerationRequest]


@pytest.fixture(scope="session")
def ask(registry: Registry) -> Ask:
    """A small, quick request; what is given replaces it."""

    def make(**fields: Any) -> GenerationRequest:
        quick: dict[str, Any] = {
            "prompt": "a red duck on a pond",
            "seed": 7,
            "steps": 4,
            "width": 64,
            "height": 64,
        }
        quick["base_model"] = "webbduck-starter"
        return build_request(registry, quick | fields)

    return make


Paint = Callable[..., list[numpy.ndarray]]


@pytest.fixture(scope="session")
def paint(generator: ImageGenerator, registry: Registry, ask: Ask) -> Paint:
    """The pixels of each picture of a request, as integers that may be subtracted."""

    def make(recorder: Recorder | None = None, **fields: Any) -> list[numpy.ndarray]:
        request = ask(**fields)
        validate(registry, request)
        checkpoint = registry.checkpoint(request.base_model)
        pictures = generator.generate(request, checkpoint, recorder or Recorder())
        return [numpy.asarray(each.image).astype(int) for each in pictures]

    return make


@pytest.fixture(scope="session")
def image(folders: Settings, generator: ImageGenerator, ask: Ask, starter: Checkpoint) -> str:
    """Id of an input picture: a red duck, 96 x 80."""
    request = ask(width=96, height=80, steps=10, seed=3)
    (picture,) = generator.generate(request, starter, Recorder())
    return store(folders, picture.image)


@pytest.fixture(scope="session")
def mask(folders: Settings) -> str:
    """Id of a mask for it: a disc in the middle."""
    disc = Image.new("L", (96, 80), 0)
    ImageDraw.Draw(disc).ellipse((30, 20, 60, 50), fill=255)
    return store(folders, disc)
