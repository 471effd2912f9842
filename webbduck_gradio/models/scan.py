"""Which files and folders of a model folder are models: told by listing, without opening any.

A folder that cannot be listed is not an empty one: it is noted in `Folders`, so that what was known of it
stays.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from .probe.converted import is_converted
from .probe.safetensors_header import PICKLE_ENDINGS

UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".aria2", ".download", ".opdownload", ".incomplete")
ENDINGS = PICKLE_ENDINGS | {".safetensors", ".sft"}
PICTURES = (
    ".preview.png",
    ".png",
    ".preview.jpg",
    ".jpg",
    ".preview.jpeg",
    ".jpeg",
    ".preview.webp",
    ".webp",
    ".thumb.jpg",
    ".thumb.png",
    ".preview.gif",
    ".gif",
)
"""Endings of a preview beside NAME.safetensors, the best first."""
NOTES = (
    ".json",
    ".metadata.json",
    ".swarm.json",
    ".cm-info.json",
    ".civitai.info",
    ".txt",
    ".description.txt",
)
"""Endings of what other programs note beside NAME.safetensors, the one to believe first: what the user wrote
there comes before what was downloaded. `read_sidecar` knows whose each is."""


@dataclass(frozen=True)
class Candidate:
    """A file or folder that may be a model. `stamp` is equal as long as nothing has to be read again."""

    name: str
    path: Path
    is_folder: bool
    stamp: str
    size: int
    modified: float
    """Seconds since 1970 of the last change; 0 where it cannot be told."""
    beside: Mapping[str, tuple[Path, str]] = field(default_factory=dict)
    """Files of the same name with another ending: ending -> (path, stamp)."""
    real: str = field(default="", compare=False)
    """Its path with all links followed."""
    origin: str = ""
    """Label of the other program's folder that it lies in; "" = our own."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What that program's database says of it, as `read_sidecar` has it."""

    def preview(self) -> tuple[Path, str] | None:
        """The picture beside it, with its stamp."""
        return next((self.beside[ending] for ending in PICTURES if ending in self.beside), None)


def is_text(name: str) -> bool:
    """Whether a file's name is UTF-8. One that is not could be written into no JSON and no database."""
    return not _NOT_TEXT.search(name)


_NOT_TEXT = re.compile("[\ud800-\udfff]")
"""What Python reads other bytes as."""


def unreadable_names(root: Path, endings: Collection[str] = ENDINGS) -> list[str]:
    """A sentence for each such file, and each folder, below `root` that is left out because of its name."""
    misnamed: list[Path] = []
    seen: set[str] = set()
    for path, folders, files in os.walk(root, followlinks=True):
        names = folders + [each for each in files if _ending(each) in endings]
        misnamed += [Path(path, name) for name in names if not is_text(name)]
        # Links may lead in a circle.
        real = {name: os.path.realpath(os.path.join(path, name)) for name in folders if is_text(name)}
        folders[:] = [name for name in real if not name.startswith(".") and real[name] not in seen]
        seen.update(real.values())
    return misnamed_sentences(misnamed, (root,))


def misnamed_sentences(paths: Iterable[Path], roots: Iterable[Path]) -> list[str]:
    """A sentence for each path whose name is not UTF-8; it is told from the root on that it lies below."""
    roots = list(roots)
    said = set()
    for path in paths:
        root = next((each for each in roots if path.is_relative_to(each)), path.parent)
        shown = os.fsencode(path.name).decode("utf-8", "backslashreplace")
        where = path.parent.relative_to(root.parent).as_posix()
        said.add(f"The name {shown} in {where} is not UTF-8; rename it to use it.")
    return sorted(said)


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


@dataclass(frozen=True)
class Unread:
    """A folder or file that cannot be read now, and why, as what follows its name in a sentence."""

    path: Path
    why: str


_ENDING = re.compile(r"\.(?:safetensors|sft|onnx)$", re.IGNORECASE)


class _OnDisk(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...


Model = TypeVar("Model", bound=_OnDisk)
Found = TypeVar("Found")


class Folders:
    """What is remembered of the model folders from one look to the next; safe for one look at a time."""

    def __init__(self) -> None:
        self.unread: list[Unread] = []
        """In this look."""
        self.misnamed: list[Path] = []
        """Files and folders that are left out in this look because their names are not UTF-8."""
        self._devices: dict[Path, int] = {}
        self._probed: dict[Path, tuple[str, Any]] = {}

    def look(self) -> Folders:
        """Begin a look."""
        self.unread, self.misnamed = [], []
        return self

    def probed(self, path: Path, stamp: str, probe: Callable[[], Found]) -> Found:
        """What `probe` says of a file. It is not asked again while the stamp stays, unless it noted that the
        file cannot be read now."""
        known: tuple[str, Found] | None = self._probed.get(path)
        if known is None or known[0] != stamp:
            failed = len(self.unread)
            known = (stamp, probe())
            if len(self.unread) == failed:
                self._probed[path] = known
        return known[1]

    def cannot_read(self, path: Path, error: OSError) -> None:
        self.unread.append(Unread(path, why(error)))

    def names(self, folder: Path) -> dict[str, os.DirEntry[str]] | None:
        """What lies in a folder by name; None, and noted as unread, where it cannot be listed."""
        try:
            with os.scandir(folder) as entries:
                listed = {entry.name: entry for entry in entries}
            device = os.stat(folder).st_dev
        except OSError as error:
            self.cannot_read(folder, error)
            return None
        if not listed and self._devices.get(folder, device) != device:
            # An empty folder on another drive is where one was mounted that is away.
            self.unread.append(Unread(folder, "is empty, because its drive is not mounted"))
            return None
        self._devices[folder] = device
        for name, entry in listed.items():
            if not is_text(name) and (_ending(name) in ENDINGS or entry.is_dir()):
                self.misnamed.append(Path(entry.path))
        return listed

    def is_unread(self, path: Path) -> bool:
        """Whether a path is one that could not be read in this look, or lies below one."""
        return any(path.is_relative_to(each.path) for each in self.unread)

    def kept(self, before: Iterable[Model], now: Container[str]) -> list[Model]:
        """Models that were listed and are not found now, because where they lie could not be read."""
        return [each for each in before if each.name not in now and self.is_unread(each.path)]


def why(error: OSError) -> str:
    """An error of the system as what follows the name of a folder."""
    if isinstance(error, FileNotFoundError):
        return "is not there"
    return f"cannot be read ({(error.strerror or type(error).__name__).lower()})"


def candidates(
    root: Path,
    folders: bool,
    skip: frozenset[str] = frozenset(),
    known: Folders | None = None,
    endings: Collection[str] = ENDINGS,
) -> list[Candidate]:
    """Every model below `root`, nested ones too, sorted by path: files with one of `endings`.

    The name is the path below `root` with `/`, without `.safetensors`, `.sft` or `.onnx`. With `folders`, a
    folder with a model_index.json is one model (diffusers layout). Links are followed, each real folder
    once. `skip` names folders directly below `root` to leave out. What cannot be read is noted in `known`.
    """
    known = Folders() if known is None else known
    taken: set[str] = set()
    named = []
    found = sorted(
        _found(root, folders, set(), known, skip, endings), key=lambda each: (not each[1], str(each[0]))
    )
    for path, is_folder, listed, real in found:
        relative = below(path, root)
        name = relative if is_folder else _ENDING.sub("", relative)
        if name in taken:  # "a/" and "a.safetensors": the file keeps its ending
            name = relative
        taken.add(name)
        try:
            named.append(_folder(name, path, real) if is_folder else _file(name, path, listed, real))
        except OSError as error:
            known.cannot_read(path, error)
    return named


def below(path: Path, root: Path) -> str:
    """A path below a folder, with `/`: what `relative_to` gives, and fast enough for thousands."""
    return os.fspath(path)[len(os.fspath(root)) :].lstrip(os.sep).replace(os.sep, "/")


def model_entries(root: Path, folders: bool) -> Iterator[tuple[str, Path]]:
    """(name, path) of `candidates`."""
    return ((each.name, each.path) for each in candidates(root, folders))


Listed = Mapping[str, "os.DirEntry[str]"]


def _found(
    folder: Path,
    folders: bool,
    seen: set[Path],
    known: Folders,
    skip: Collection[str],
    endings: Collection[str],
) -> Iterator[tuple[Path, bool, Listed, str]]:
    """(path, whether it is a folder, what lies beside it, real path)."""
    try:
        real = folder.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return
    if real in seen:
        return
    seen.add(real)
    listed = known.names(folder)
    for name, entry in sorted((listed or {}).items()):
        if name.startswith(".") or name.endswith(UNFINISHED) or not is_text(name):
            continue
        path = Path(entry.path)
        try:
            is_folder = entry.is_dir()
            index = is_folder and folders and os.path.lexists(path / "model_index.json")
            if is_folder and folders and not index:
                os.stat(path / ".")  # which says whether nothing is there, or nobody may look
        except OSError as error:
            if error.errno != errno.ELOOP:
                known.cannot_read(path, error)
                continue
            is_folder = index = False
        if is_folder:
            if name in skip:
                continue
            if index:
                yield path, True, {}, os.path.realpath(path)
            else:
                yield from _found(path, folders, seen, known, (), endings)
        elif _ending(name) in endings:
            if not _is_replaced(path, listed or {}):
                yield path, False, listed or {}, _real(entry, real)
        elif entry.is_symlink() and not os.path.exists(path):
            known.unread.append(Unread(path, "leads to something that is not there"))


def _real(entry: os.DirEntry[str], folder: Path) -> str:
    """Real path of an entry of a real folder."""
    return os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(folder, entry.name)


def _is_replaced(path: Path, listed: Listed) -> bool:
    """Whether a pickle was converted to the safetensors file beside it, which is listed in its place."""
    if path.suffix.lower() not in PICKLE_ENDINGS:
        return False
    converted = path.with_suffix(".safetensors")
    return converted.name in listed and is_converted(path, converted)


def _file(name: str, path: Path, listed: Listed, real: str) -> Candidate:
    file = path.name
    stem = os.path.splitext(file)[0]
    try:
        status = _status(listed[file])
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            raise
        return Candidate(name, path, False, "gone", 0, 0.0, real=real)
    beside = {}
    for ending in (*NOTES, *PICTURES, ".yaml"):
        entry = listed.get(stem + ending)
        if entry is not None:
            try:
                of_it = _status(entry)
            except OSError:
                continue
            # A picture is opened by others; what is no file at all among the notes is said when it is read.
            if ending in NOTES or stat.S_ISREG(of_it.st_mode):
                beside[ending] = Path(entry.path), _stamp(of_it)
    stamp = _stamp(status)
    if ".yaml" in beside:
        stamp += "+" + beside[".yaml"][1]
    if stem == "adapter_model" and "adapter_config.json" in listed:  # peft's, which tells a LoRA's alpha
        stamp += "+" + stamp_of(Path(listed["adapter_config.json"].path))
    return Candidate(name, path, False, stamp, status.st_size, status.st_mtime, beside, real)


def _folder(name: str, path: Path, real: str) -> Candidate:
    """Its stamp is that of all JSON and weight files inside. Raises `OSError` where a part is not listed."""
    digest, size, modified = hashlib.sha256(), 0, 0.0
    for relative, entry in sorted(_parts(path)):
        try:
            status = _status(entry)
        except FileNotFoundError:
            continue
        digest.update(f"{relative}\0{_stamp(status)}\0".encode("utf-8", "surrogatepass"))
        size += status.st_size if os.path.splitext(relative)[1] in ENDINGS else 0
        modified = max(modified, status.st_mtime)
    return Candidate(name, path, True, digest.hexdigest()[:32], size, modified, real=real)


def _parts(path: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """(name below the folder, entry) of the files that say what a folder in diffusers layout is."""
    with os.scandir(path) as entries:
        top = list(entries)
    for entry in top:
        if entry.name.endswith(".json"):
            yield entry.name, entry
        elif entry.is_dir():
            with os.scandir(entry.path) as inside:
                for each in inside:
                    if each.name.endswith((".json", ".safetensors")) or each.name == "merges.txt":
                        yield f"{entry.name}/{each.name}", each


def _status(entry: os.DirEntry[str]) -> os.stat_result:
    # On Windows the listing leaves out what tells files apart.
    return os.stat(entry.path) if os.name == "nt" else entry.stat()


def _stamp(status: os.stat_result) -> str:
    # The permissions belong to it: a file that may be read at last has to be read again.
    mode = stat.S_IMODE(status.st_mode)
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}:{mode:o}"


def stamp_of(path: Path) -> str:
    """Stamp of one file, "gone" where it is not there."""
    try:
        return _stamp(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except OSError as error:
        return f"unread ({error.errno})"


def stamps_below(*roots: Path) -> tuple[tuple[str, str], ...]:
    """(path, stamp) of every file below these folders, for telling whether anything is different."""
    found = []
    for root in roots:
        for folder, _, names in os.walk(root):
            found += [(path := os.path.join(folder, name), stamp_of(Path(path))) for name in names]
    return tuple(sorted(found))
