"""Saved presets and prompts, in one JSON file that is written atomically."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

from ...errors import RequestError, StorageError
from ...request import MAX_PROMPT, SETTINGS
from ...storage.atomic import write_atomically
from ...storage.reading import read_json

log = logging.getLogger(__name__)

MOST_PRESETS, MOST_PROMPTS = 200, 500
LONGEST_NAME = 80
NOT_KEPT = tuple(name for name, setting in SETTINGS.items() if setting.is_content)
"""Presets hold settings, not content: prompts are saved separately."""


class PresetStore:
    """`{"presets": {NAME: settings}, "prompts": [{"id", "prompt", "negative_prompt"}, ...]}`.

    Unknown keys and entries are preserved; a file that cannot be parsed or has another structure is never
    overwritten. Thread-safe.
    """

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.Lock()

    def content(self) -> dict[str, Any]:
        """The file's presets, and its prompts, newest first. Raises `StorageError` if the file is damaged."""
        with self._lock:
            return self._read()

    def keep_preset(self, name: Any, settings: Any) -> dict[str, Any]:
        """Save form settings under a name, replacing a preset of that name. Raises `RequestError`."""
        name = name.strip() if isinstance(name, str) else ""
        if not name or len(name) > LONGEST_NAME:
            raise RequestError(f"A preset needs a name of at most {LONGEST_NAME} characters.")
        if not isinstance(settings, dict):
            raise RequestError("The preset contains no settings.")
        kept = {key: value for key, value in settings.items() if key not in NOT_KEPT}
        with self._lock:
            content = self._read()
            presets = {**content["presets"], name: kept}
            if len(presets) > MOST_PRESETS:
                raise RequestError(f"At most {MOST_PRESETS} presets can be saved; remove one first.")
            return self._write(content | {"presets": presets})

    def drop_preset(self, name: Any) -> dict[str, Any]:
        """Remove a preset."""
        with self._lock:
            content = self._read()
            rest = {key: value for key, value in content["presets"].items() if key != name}
            return self._write(content | {"presets": rest})

    def preset(self, name: Any) -> dict[str, Any]:
        """The settings of a preset. Raises `RequestError` if there is none of this name."""
        found = self.content()["presets"].get(name)
        if not isinstance(found, dict):
            raise RequestError("This preset no longer exists.")
        return found

    def keep_prompt(self, prompt: Any, negative: Any) -> dict[str, Any]:
        """Save a prompt with its negative prompt, without duplicates. Raises `RequestError`."""
        texts = [text.strip() if isinstance(text, str) else "" for text in (prompt, negative)]
        longest = max(map(len, texts))
        if longest > MAX_PROMPT:
            raise RequestError(
                f"The prompt has {longest:,} of at most {MAX_PROMPT:,} characters; shorten it to save it."
            )
        if not texts[0]:
            raise RequestError("There is no prompt to save; write one first.")
        with self._lock:
            content = self._read()
            entry = {"id": f"{time.time_ns():x}", "prompt": texts[0], "negative_prompt": texts[1]}
            same = (entry["prompt"], entry["negative_prompt"])
            others = [
                each for each in content["prompts"] if (each["prompt"], each["negative_prompt"]) != same
            ]
            if len(others) >= MOST_PROMPTS:
                raise RequestError(f"At most {MOST_PROMPTS} prompts can be saved; remove one first.")
            return self._write(content | {"prompts": [entry, *others]})

    def drop_prompt(self, entry_id: Any) -> dict[str, Any]:
        """Remove a saved prompt."""
        with self._lock:
            content = self._read()
            rest = [each for each in content["prompts"] if each["id"] != entry_id]
            return self._write(content | {"prompts": rest})

    def _read(self) -> dict[str, Any]:
        """The file's content, with only the prompts that are well-formed."""
        try:
            content = read_json(self._path)
        except FileNotFoundError:
            content = {}
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read: %s", self._path, error)
            raise self._broken() from None
        if not isinstance(content, dict):
            raise self._broken()
        presets, prompts = content.get("presets", {}), content.get("prompts", [])
        if not isinstance(presets, dict) or not isinstance(prompts, list):
            raise self._broken()
        return {**content, "presets": presets, "prompts": [p for p in prompts if _is_prompt(p)]}

    def _broken(self) -> StorageError:
        return StorageError(f"{self._path.name} cannot be read; repair or remove it to save presets.")

    def _malformed_prompts(self) -> list[Any]:
        """Malformed entries among the saved prompts; they are written back, since a user may have made
        them."""
        if not self._path.exists():
            return []
        return [each for each in read_json(self._path).get("prompts", []) if not _is_prompt(each)]

    def _write(self, content: dict[str, Any]) -> dict[str, Any]:
        whole = {**content, "prompts": [*content["prompts"], *self._malformed_prompts()]}
        text = json.dumps(whole, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
        write_atomically(self._path, lambda file: file.write(text), self._path.parent / "tmp")
        return content


def _is_prompt(entry: object) -> bool:
    keys = ("id", "prompt", "negative_prompt")
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in keys)
