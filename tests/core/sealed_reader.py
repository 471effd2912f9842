"""Converts many files in one process with the guards of the child that converts one, since torch's import
takes long. Arguments: the package's folder, a folder of files KIND,NUMBER.pt. Prints a JSON list."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.append(sys.argv[1])

from webbduck_gradio.core.pickles import child, guards
from webbduck_gradio.core.pickles.refusal import translated


def main() -> None:
    sources = sorted(Path(sys.argv[2]).glob("*.pt"))
    guards.detach(os.getppid())
    os.chdir(tempfile.mkdtemp())
    outputs = [each.with_suffix(".safetensors").open("wb") for each in sources]
    child.prepare()
    guards.bound(max(each.stat().st_size for each in sources), cpu_seconds=300)
    guards.seal([str(each) for each in sources])
    results = []
    for source, out in zip(sources, outputs, strict=True):
        guards.forbidden.clear()
        try:
            kind = source.name.partition(",")[0]
            result: dict[str, object] = {"done": child.convert(str(source), out, kind, {}, lambda *_: None)}
        except BaseException as error:
            result = {"refused": translated(error)}
        out.close()
        results.append({"name": source.stem, "forbidden": list(guards.forbidden), **result})
    print(json.dumps(results + probes()))


def probes() -> list[dict[str, object]]:
    """What a sealed process may no longer do, tried."""
    tried = {
        "write": lambda: os.open("more", os.O_WRONLY | os.O_CREAT),
        "read": lambda: os.open("/etc/hostname", os.O_RDONLY),
        "start": lambda: os.system("true"),
        "fork": os.fork,
        "import": lambda: __import__("wave"),
        "connect": lambda: __import__("_socket").socket(),
        "compile": lambda: eval("1 + 1"),
        "remove": lambda: os.unlink(sys.argv[2]),
    }
    found: list[dict[str, object]] = []
    for name, action in tried.items():
        try:
            action()
            found.append({"name": name, "allowed": True})
        except PermissionError as error:
            found.append({"name": name, "allowed": False, "text": str(error)})
    return found


main()
