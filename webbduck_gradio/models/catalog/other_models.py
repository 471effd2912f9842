"""The catalog's models beside checkpoints, LoRAs and embeddings, and its lists of words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...errors import ModelError
from ...request.model_fields import OWN_VAE
from ...settings import Settings
from ..captioners import Captioner, find_captioners
from ..detectors import Detector, find_detectors
from ..foreign.folders import Kind, ModelFolder, Tree
from ..foreign.known_trees import ForeignTrees
from ..listing import Listing
from ..style_book import StyleBook
from ..tags import TagLibrary
from ..upscalers import Upscaler, find_upscalers
from ..vaes import Vae, find_vaes
from ..wildcards import Wildcard, WildcardFolder
from .hashes import Hashes

OtherModel = Upscaler | Captioner | Detector | Vae


class OtherModels:
    """Base of the registry."""

    def __init__(self, settings: Settings, hashes: Hashes):
        self.settings, self.hashes = settings, hashes
        self.foreign = ForeignTrees(settings)
        """Folders of other programs."""
        self.trees: tuple[Tree, ...] = ()
        """What was read of them in the last scan."""
        self._upscalers = Listing("upscaler", settings, find_upscalers, self._folders_of("upscale"))
        self._captioners = Listing("captioner", settings, find_captioners)
        self._detectors = Listing("detector", settings, find_detectors, self._folders_of("detect"))
        self._vaes = Listing("VAE", settings, find_vaes, self._folders_of("vae"))
        self.tags = TagLibrary(settings)
        self.wildcard_folder = WildcardFolder(settings.wildcards)
        self.styles = StyleBook(settings.styles)

    def foreign_folders(self, kind: Kind | None = None) -> tuple[ModelFolder, ...]:
        """The other programs' folders of a kind of model, None = of all, as they were read in the last
        scan."""
        return tuple(
            each for tree in self.trees for each in tree.folders if kind is None or each.kind == kind
        )

    def _folders_of(self, kind: Kind) -> Callable[[], tuple[ModelFolder, ...]]:
        return lambda: self.foreign_folders(kind)

    def _look_at_trees(self) -> list[str]:
        """Look what other programs' folders there are. Returns sentences about those of which nothing can be
        read, with paths only if the server is local; what else a tree says is told with it."""
        self.trees = self.foreign.trees()
        self.wildcard_folder.use(self.foreign_folders("wildcards"))
        self.styles.use(self.foreign_folders("styles"))
        said = list(self.foreign.problems)
        for tree in self.trees:
            if not tree.folders:
                told = tree.problems if self.settings.is_loopback_only else ()
                said += [f"{tree.label}: {each}" for each in told or ("No folder of models is found in it.",)]
        return said

    def vaes(self) -> tuple[Vae, ...]:
        """All VAEs in `checkpoint/vae`, including unusable ones."""
        return tuple(map(self._hashed, self._vaes.models()))

    def vae(self, name: str) -> Vae | None:
        """A VAE by name in any spelling; None for the checkpoint's own. Raises `NotFoundError` or
        `ModelError`."""
        return None if name == OWN_VAE else self._hashed(self._vaes.get(name))

    def _hashed(self, vae: Vae) -> Vae:
        """The VAE with its hashes, which are computed in the background the first time."""
        if vae.weights is None:
            return vae
        short, hashes = self.hashes.of_file(vae.weights, vae.stamp)
        if short is None and vae.unusable is None:
            self.hashes.schedule(vae.weights, vae.stamp)
        return replace(vae, hash=short, hashes=hashes)

    def wildcards(self) -> tuple[Wildcard, ...]:
        """The lists of words in `wildcards`, including unusable ones."""
        return self.wildcard_folder.lists()

    def upscalers(self) -> tuple[Upscaler, ...]:
        """All upscalers in `checkpoint/upscale`, including unusable ones."""
        return self._upscalers.models()

    def upscaler(self, name: str | None) -> Upscaler | None:
        """An upscaler by name; for None the first usable one, or None (Lanczos) if there is none."""
        return self._upscalers.usable() if name is None else self._upscalers.get(name)

    def captioners(self) -> tuple[Captioner, ...]:
        """All plug-ins and captioners in `checkpoint/caption`, including unusable ones."""
        return self._captioners.models()

    def captioner(self, name: str | None) -> Captioner:
        """A captioner by name; for None the first usable one. Raises `NotFoundError` or `ModelError`."""
        usable = self._captioners.usable() if name is None else self._captioners.get(name)
        if usable is None:
            raise ModelError("There is no captioner; put a model's folder into checkpoint/caption.")
        return usable

    def detectors(self) -> tuple[Detector, ...]:
        """All detectors in `checkpoint/detect`, including unusable ones."""
        return self._detectors.models()

    def detector(self, name: str | None) -> Detector:
        """A detector by name; for None the first usable one. Raises `NotFoundError` or `ModelError`."""
        usable = self._detectors.usable() if name is None else self._detectors.get(name)
        if usable is None:
            raise ModelError("There is no detector; put a YOLO v8 or v11 .onnx file into checkpoint/detect.")
        return usable
