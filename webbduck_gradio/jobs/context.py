"""The services that job handlers use: the catalog, the image folders and the core."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.device_state import DeviceChoice, DeviceState
from ..gallery.input_images import FILE_ID, InputImageStore
from ..gallery.outputs import Outputs
from ..models.catalog.registry import Registry
from ..settings import Settings
from .device_choices import DeviceChoices

if TYPE_CHECKING:
    from ..core.image_generator import ImageGenerator


class JobContext:
    """Shared by all jobs. Does not include the queue: a handler reports to its `RunningJob`."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        outputs: Outputs,
        inputs: InputImageStore,
        make_generator: Callable[[], ImageGenerator],
    ):
        self.settings, self.registry, self.outputs, self.inputs = settings, registry, outputs, inputs
        self.make_generator = make_generator
        self.device_choices = DeviceChoices(settings)
        self._generator: ImageGenerator | None = None
        self._applied: DeviceChoice | None = None
        """The choice that the generator works by."""
        self._creating = threading.Lock()

    @property
    def generator(self) -> ImageGenerator:
        """Created on first use, in the calling thread; importing torch takes seconds."""
        with self._creating:
            if self._generator is None:
                # Read before: what is chosen meanwhile differs from it, and is applied.
                self._applied = self.device_choices.current
                self._generator = self.make_generator()
            return self._generator

    @property
    def has_generator(self) -> bool:
        return self._generator is not None

    @property
    def is_loading(self) -> bool:
        """Whether the generator is being created right now."""
        return self._creating.locked()

    def apply_choice(self) -> None:
        """Let the generator, if it is there, work by the current choice about the device. To be called on
        the core's thread, between jobs."""
        choice = self.device_choices.current
        if self._generator is not None and choice != self._applied:
            self._generator.choose(choice)
            self._applied = choice

    def describe_generator(self) -> DeviceState:
        """As `ImageGenerator.describe`; {} before the generator was created. Never waits for that."""
        return self._generator.describe() if self._generator else {}

    def picture_path(self, image: str) -> Path:
        """The file of a gallery image ("RUN/0.png") or a stored input image. Raises `NotFoundError`."""
        return self.inputs.path(image) if is_input(image) else self.outputs.resolve(image)


def is_input(image: str) -> bool:
    """Whether an id is that of a stored input image rather than a gallery image."""
    return FILE_ID.fullmatch(image) is not None
