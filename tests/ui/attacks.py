"""Known attacks, as values for the endpoints' parameters, as uploaded files, and as raw bodies."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image

NAN, INFINITY = float("nan"), float("inf")

NOT_A_NUMBER: list[Any] = [
    "wide",
    "",
    [],
    {},
    [1],
    {"a": 1},
    True,
    NAN,
    INFINITY,
    -INFINITY,
    1e308,
    -(10**30),
]
NOT_WHOLE = [*NOT_A_NUMBER, 2.5, 10**30]
NOT_TEXT: list[Any] = [5, 1.5, True, [], {}, ["a"], {"a": "b"}, NAN, "a" * 4001, "a\0b"]
NOT_A_CHOICE: list[Any] = ["other", "", 5, True, [], {}, "AUTO", "../auto", NAN]
NOT_A_SWITCH: list[Any] = ["yes", 1, 0, [], {}, "true", NAN]

TRAVERSAL = [
    "/etc/passwd",
    "../../etc/passwd",
    "../../../../../../../../etc/passwd",
    "{run}/../../../etc/passwd",
    "{run}/../0.png",
    "{run}/./0.png",
    "./{run}/0.png",
    "{run}//0.png",
    "/{run}/0.png",
    "{run}/0.png/",
    "{run}/0.png/..",
    "{run}",
    "{run}/",
    "{run}/meta.json",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e%252fetc%252fpasswd",
    "..%c0%af..%c0%afetc/passwd",
    "..\\..\\windows\\win.ini",
    "{run}\\0.png",
    "C:\\Windows\\win.ini",
    "C:/Windows/win.ini",
    "C:0.png",
    "\\\\server\\share\\0.png",
    "//server/share/0.png",
    "{run}/0.png:stream",
    "{run}/0.png\0",
    "{run}/0.png\0.html",
    "\0",
    "{run}/0.png%00",
    "{run}/link.png",
    "{run}/loop.png",
    "linked/0.png",
    ".webbduck/jobs.sqlite3",
    ".webbduck/lock",
    ".webbduck/trash",
    ".webbduck/uploads",
    ".WEBBDUCK/jobs.sqlite3",
    "{run}/../.webbduck/jobs.sqlite3",
    "page.html",
    "vector.svg",
    "file:///etc/passwd",
    "http://169.254.169.254/latest/meta-data/",
    "https://example.org/0.png",
    "ftp://example.org/0.png",
    "data:image/png;base64,AAAA",
    "~/.ssh/id_rsa",
    "~root/0.png",
    "$HOME/0.png",
    "${IFS}",
    "`id`",
    "$(id)",
    "; rm -rf /",
    "' OR 1=1 --",
    '" OR ""="',
    "1; DROP TABLE jobs",
    "CON",
    "NUL.png",
    "{run}/０.png",
    "{run}/0．png",
    "\u202egnp.0",
    "{run}/0.png\n",
    " {run}/0.png",
    "*/*.png",
    "{run}/*.png",
    "[0-9]*/0.png",
    "/proc/self/environ",
    "/proc/self/fd/0",
    "/dev/zero",
    "/dev/stdin",
    "a" * 5000,
    "../" * 1500,
    "",
    " ",
    ".",
    "..",
    "/",
]
"""For ids and paths; {run} is a run that is there."""

NOT_AN_ID: list[Any] = [None, 5, 1.5, True, NAN, [], {}, ["{run}/0.png"], {"path": "{run}/0.png", "x": [[]]}]

PATHS = [
    "/etc/passwd",
    "/etc/hostname",
    "/proc/self/environ",
    "/proc/self/mem",
    "/dev/zero",
    "/dev/random",
    "{home}/app.py",
    "{home}/webbduck_gradio/settings.py",
    "{outputs}/.webbduck/jobs.sqlite3",
    "{outputs}/.webbduck/uploads",
    "{outputs}/.webbduck/uploads/../jobs.sqlite3",
    "{outputs}/{run}/meta.json",
    "{outputs}/{run}/link.png",
    "{outputs}/page.html",
    "{outputs}",
    "{checkpoints}/sdxl/webbduck-starter/model_index.json",
    "../../etc/passwd",
    "http://127.0.0.1:9/x.png",
    "https://example.org/x.png",
    "HTTP://example.org/x.png",
    "//example.org/x.png",
    "file:///etc/passwd",
    "",
    "\0",
]
META = {"_type": "gradio.FileData"}


def as_files() -> Iterator[Any]:
    """Every path in the forms in which Gradio takes a file."""
    for path in PATHS:
        yield path
        yield {"path": path}
        yield {"path": path, "meta": META}
        yield {"path": path, "meta": META, "url": f"http://127.0.0.1:9/{path}", "orig_name": "a.png"}
    for path in (None, 5, [], {}, True, ["/etc/passwd"], {"path": "/etc/passwd"}):
        yield {"path": path}
        yield {"path": path, "meta": META}
    yield {"url": "http://127.0.0.1:9/x.png", "meta": META}
    yield {"url": "file:///etc/passwd"}
    yield {"path": "/etc/passwd", "meta": META, "is_stream": True}
    yield [{"path": "/etc/passwd", "meta": META}]
    yield {"background": {"path": "/etc/passwd"}, "layers": [], "composite": None}


NOT_DETAILS: list[Any] = [
    "face",
    5,
    True,
    {"detector": "face"},
    [1],
    [None],
    ["face"],
    [[]],
    [{}],
    [{"detector": 5}],
    [{"detector": ""}],
    [{"detector": "a" * 300}],
    [{"detector": "../../etc/passwd"}],
    [{"detector": "no-such-detector\0"}],
    [{"detector": "face", "strength": NAN}],
    [{"detector": "face", "confidence": "1; DROP TABLE"}],
    [{"detector": "face", "padding": 10**30}],
    [{"detector": "face", "prompt": "a" * 4001}],
    [{"detector": "face", "prompt": "a\0b"}],
    [{"detector": "face", "classes": "face"}],
    [{"detector": "face", "classes": ["a"] * 65}],
    [{"detector": "face", "order": "random"}],
    [{"detector": "face", "count": True}],
    [{"detector": "face", "__class__": "x"}],
    [{"detector": "face"}] * 4,
]
NOT_EMBEDDINGS: list[Any] = ["bad", 5, True, {}, [1], [None], [""], [[]], ["a" * 300], ["../../etc/passwd"]]
NOT_STYLES: list[Any] = [
    "Night",
    5,
    True,
    {"name": "Night"},
    [1],
    [None],
    [""],
    [[]],
    [{}],
    [{"name": 5}],
    ["a" * 300],
    ["../../etc/passwd"],
    ["no such style\0"],
    [{"name": "x", "prompt": "a" * 4001}],
    [{"name": "x", "prompt": 5}],
    [{"name": "x", "prompt": "a\0b"}],
    [{"name": "x", "prompt": "a", "__class__": "x"}],
    [{"name": "x", "prompt": "a"}] * 2,
    [{"name": f"{n}", "prompt": "a"} for n in range(21)],
    [{"name": f"{n}", "prompt": "{prompt}" * 400} for n in range(20)],
]
NOT_SIDES: list[Any] = [
    "left",
    5,
    True,
    [],
    [8],
    {"up": 8},
    {"left": "wide"},
    {"left": -8},
    {"left": 10**9},
    {"left": True},
    {"left": [8]},
    {"left": {}},
    {"left": NAN},
    {"left": "-25%"},
    {"left": 8, "x": [[]]},
]
NOT_LORAS: list[Any] = [
    "ink",
    5,
    True,
    {"name": "ink"},
    [1],
    [None],
    ["ink"],
    [[]],
    [{}],
    [{"name": 5}],
    [{"name": ""}],
    [{"name": "a" * 300}],
    [{"name": "../../etc/passwd"}],
    [{"name": "/etc/passwd"}],
    [{"name": "no-such-lora"}],
    [{"name": "no-such-lora\0"}],
    [{"weight": 1}],
    [{"name": "ink", "weight": "1; DROP TABLE"}],
    [{"name": "ink", "weight": NAN}],
    [{"name": "ink", "weight": INFINITY}],
    [{"name": "ink", "weight": 99}],
    [{"name": "ink", "weight": True}],
    [{"name": "ink", "weight": []}],
    [{"name": "ink", "path": "/etc/passwd"}],
    [{"name": "ink", "__class__": "x"}],
    [{"name": f"ink{number}"} for number in range(17)],
    [{"name": "ink"}] * 5000,
]

INJECTIONS = [
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "<svg onload=window.hit=1>",
    '"><script>window.hit=1</script>',
    "</script><script>window.hit=1</script>",
    "</textarea><script>window.hit=1</script>",
    "javascript:window.hit=1",
    "${window.hit=1}",
    "{{window.hit=1}}",
    "{{constructor.constructor('window.hit=1')()}}",
    "<%= window.hit=1 %>",
    "#{window.hit=1}",
    "{% include '/etc/passwd' %}",
    "`${window.hit=1}`",
    "&lt;script&gt;window.hit=1&lt;/script&gt;",
    "<iframe srcdoc='<script>parent.hit=1</script>'>",
    "%s%s%s%n",
    "\x1b[31mred\x1b[0m\r\nINFO fake log line",
    "\u2028window.hit=1\u2029",
]
"""Text that is allowed, and must stay text."""


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_that_claims(width: int, height: int, after: bytes = b"") -> bytes:
    """A PNG of this size by its header, of next to no bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = _png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + after + pixels + _png_chunk(b"IEND", b"")


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def frames(form: str) -> bytes:
    first, second = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    return saved(first, form, save_all=True, append_images=[second])


def bad_files() -> dict[str, bytes]:
    """Uploads that no job may take, by name."""
    small = Image.new("RGB", (64, 64), "orange")
    whole = saved(small, "PNG")
    bomb = zlib.compress(b"\0" * 300_000_000, 9)  # 300 MB in 0.3
    return {
        "vector.svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><rect width="9"/></svg>',
        "vector.png": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        "page.png": b"<html><script>alert(1)</script></html>",
        "pixels-50000.png": png_that_claims(50_000, 50_000),
        "pixels-4e9.png": png_that_claims(2**31 - 1, 2**31 - 1),
        "pixels-65-megapixels.png": png_that_claims(8_200, 8_000),
        "pixels-none.png": png_that_claims(0, 0),
        "text-bomb.png": png_that_claims(64, 64, _png_chunk(b"zTXt", b"Comment\0\0" + bomb)),
        "profile-bomb.png": png_that_claims(64, 64, _png_chunk(b"iCCP", b"x\0\0" + bomb)),
        "cut-off.png": whole[: len(whole) // 2],
        "damaged.png": whole.replace(b"IDAT", b"IDAx"),
        "header-only.png": whole[:33],
        "empty.png": b"",
        "zeros.png": b"\0" * 4096,
        "animated.gif": frames("GIF"),
        "still.gif": saved(small, "GIF"),
        "scan.tiff": saved(small, "TIFF"),
        "bitmap.bmp": saved(small, "BMP"),
        "icon.ico": saved(small, "ICO"),
        "vector.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
        "paper.pdf": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
        "archive.png": b"PK\x03\x04" + b"\0" * 100,
        "pickle.png": b"\x80\x04\x95\x00cos\nsystem\n(S'id'\ntR.",
        "cut-off.jpg": saved(small, "JPEG")[:200],
        "cut-off.webp": saved(small, "WEBP")[:40],
        "text.png": b"just text",
        "script.py": b"import os; os.system('id')",
    }


def good_files() -> dict[str, bytes]:
    """Unusual pictures that a job may take."""
    small = Image.new("RGB", (64, 64), "orange")
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = Image.new("P", (64, 64), 1)
    palette.putpalette([0, 0, 0, 255, 128, 0])
    return {
        "sixteen-bit.png": saved(Image.new("I;16", (64, 64), 40_000), "PNG"),
        "turned.jpg": saved(Image.new("RGB", (96, 64), "orange"), "JPEG", exif=exif),
        "cmyk.jpg": saved(small.convert("CMYK"), "JPEG"),
        "palette-alpha.png": saved(palette, "PNG", transparency=0),
        "grey-alpha.png": saved(Image.new("LA", (64, 64), (90, 128)), "PNG"),
        "one-bit.png": saved(Image.new("1", (64, 64), 1), "PNG"),
        "still.webp": saved(small, "WEBP"),
        "with-page-behind.png": saved(small, "PNG") + b"<html><script>alert(1)</script></html>",
    }


def bodies() -> dict[str, bytes]:
    """Malformed and oversized JSON."""
    return {
        "nothing": b"",
        "a brace": b"{",
        "null": b"null",
        "a list": b"[]",
        "a number": b"5",
        "text": b'"data"',
        "no UTF-8": b'{"data": ["\xff\xfe"]}',
        "another encoding": '{"data": ["ä"]}'.encode("utf-16"),
        "half a surrogate": b'{"data": "\\ud800"}',
        "deep lists": b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "deep tables": b'{"data":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
        "61 levels": json.dumps({"data": json.loads("[" * 60 + "]" * 60)}).encode(),
        "many values": b'{"data":[' + b",".join([b"1"] * 60_000) + b"]}",
        "a long number": b'{"data":[' + b"9" * 10_000 + b"]}",
        "3 MiB": b'{"data":["' + b"a" * (3 * 2**20) + b'"]}',
        "NaN alone": b"NaN",
        "no data": b"{}",
        "data is text": b'{"data": "x"}',
        "data is a table": b'{"data": {"0": 1}}',
        "data is null": b'{"data": null}',
        "too few": b'{"data": []}',
        "too many": json.dumps({"data": ["x"] * 100}).encode(),
        "trailing": b'{"data": []} {"data": []}',
        "form": b"data=1&data=2",
    }
