"""Texts of a picture outside PNG's text chunks: EXIF in all of its encodings, XMP, comments, lowest bits."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from gallery_helpers import picture
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.metadata import stealth_alpha

TEXT = "a red duck – 🦆\nNegative prompt: fog\n"
TEXT += "Steps: 20, Sampler: Euler, CFG scale: 6.5, Seed: 5, Size: 832x1216"
PLAIN = TEXT.replace("–", "-").replace("🦆", "yes")
UNDEFINED, ASCII, UTF_8 = 7, 2, 129


def block(
    body: bytes, kind: int = UNDEFINED, order: str = "<", tag: int = 0x9286, inner: bool = True
) -> bytes:
    """An EXIF block with one field, in the Exif table or in the first one."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    entry = struct.pack(order + "HHI", tag, kind, len(body))
    end = struct.pack(order + "I", 0)
    if not inner:
        return head + struct.pack(order + "H", 1) + entry + struct.pack(order + "I", 26) + end + body
    first = struct.pack(order + "HHHII", 1, 0x8769, 4, 1, 26) + end
    return head + first + struct.pack(order + "H", 1) + entry + struct.pack(order + "I", 44) + end + body


def saved(path: Path, exif: bytes, **more) -> Path:
    picture().save(path, exif=exif if path.suffix == ".png" else b"Exif\0\0" + exif, **more)
    return path


def check(path: Path, text: str = TEXT) -> None:
    found = metadata.read(path)
    assert found["settings"].get("prompt") == text.split("\n")[0], found["parameters"]
    assert found["settings"]["seed"] == 5 and found["settings"]["negative_prompt"] == "fog"


ENCODED = {
    "big-endian": b"UNICODE\0" + TEXT.encode("utf-16-be"),
    "little-endian": b"UNICODE\0" + TEXT.encode("utf-16-le"),
    "big-endian with mark": b"UNICODE\0\xfe\xff" + TEXT.encode("utf-16-be"),
    "little-endian with mark": b"UNICODE\0\xff\xfe" + TEXT.encode("utf-16-le"),
    "small letters": b"Unicode\0" + TEXT.encode("utf-16-be"),
    "UTF-8 called UNICODE": b"UNICODE\0" + TEXT.encode(),
    "UTF-8 with mark": b"UNICODE\0\xef\xbb\xbf" + TEXT.encode(),
    "ASCII": b"ASCII\0\0\0" + TEXT.encode(),
    "ASCII, ends with NULs": b"ASCII\0\0\0" + TEXT.encode() + b"\0",
    "undefined": b"\0" * 8 + TEXT.encode(),
    "undefined, two bytes each": b"\0" * 8 + TEXT.encode("utf-16-le"),
    "UTF-8": b"UTF-8\0\0\0" + TEXT.encode(),
    "no prefix": TEXT.encode(),
    "no prefix, two bytes each": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "letters that end in a NUL": b"UNICODE\0" + ("Ā" * 200 + TEXT).encode("utf-16-be"),
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("encoding", ENCODED)
def test_a_comment_in_every_encoding(tmp_path: Path, encoding: str, order: str):
    text = "Ā" * 200 + TEXT if encoding.startswith("letters") else TEXT
    check(saved(tmp_path / "x.jpg", block(ENCODED[encoding], order=order)), text)


def test_jis(tmp_path: Path):
    text = PLAIN.replace("duck", "鴨")
    check(saved(tmp_path / "x.jpg", block(b"JIS\0\0\0\0\0" + text.encode("iso2022_jp"))), text)


@pytest.mark.parametrize("kind", [UTF_8, ASCII])
@pytest.mark.parametrize("inner", [True, False])
def test_the_types_that_pillow_does_not_read(tmp_path: Path, kind: int, inner: bool):
    check(saved(tmp_path / "x.jpg", block(TEXT.encode(), kind, inner=inner)))


@pytest.mark.parametrize("ending", ["jpg", "webp", "avif", "png"])
def test_every_format_that_has_exif(tmp_path: Path, ending: str):
    check(saved(tmp_path / f"x.{ending}", block(ENCODED["big-endian"])))


def test_exif_after_the_pixels_of_a_png(tmp_path: Path):
    path = saved(tmp_path / "x.png", block(ENCODED["big-endian"]))
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    path.write_bytes(data[:start] + data[end:-12] + data[start:end] + data[-12:])
    check(path)


def xmp(inner: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"{inner}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def test_xmp(tmp_path: Path):
    packet = xmp(
        f'<exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">{TEXT}</rdf:li></rdf:Alt>'
        "</exif:UserComment>"
    )
    picture().save(tmp_path / "x.jpg", xmp=packet)
    check(tmp_path / "x.jpg")
    chunk = PngInfo()
    chunk.add_itxt("XML:com.adobe.xmp", packet.decode())
    picture().save(tmp_path / "x.png", pnginfo=chunk)
    check(tmp_path / "x.png")
    bomb = b'<!DOCTYPE x [<!ENTITY a "Steps: 1">]>' + xmp("<dc:description>&a;</dc:description>")
    picture().save(tmp_path / "y.jpg", xmp=bomb)
    assert metadata.read(tmp_path / "y.jpg")["parameters"] is None


def test_comments_and_descriptions(tmp_path: Path):
    picture().save(tmp_path / "x.jpg", comment=TEXT.encode())
    check(tmp_path / "x.jpg")
    check(saved(tmp_path / "y.jpg", block(TEXT.encode(), ASCII, tag=0x010E, inner=False)))
    check(saved(tmp_path / "z.jpg", block(TEXT.encode("utf-16-le"), 1, tag=0x9C9C, inner=False)))
    saved(tmp_path / "camera.jpg", block(b"SONY DSC\0", ASCII, tag=0x010E, inner=False))
    assert metadata.read(tmp_path / "camera.jpg")["parameters"] is None


@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:(Possibly c|C)orrupt EXIF")  # Pillow's
@pytest.mark.parametrize("cut", range(0, 80, 3))
def test_damaged_exif_is_no_damaged_picture(tmp_path: Path, cut: int):
    whole = block(ENCODED["big-endian"])
    odd = whole[:cut] + bytes([255]) * 4 + whole[cut + 4 :]
    assert metadata.read(saved(tmp_path / "x.jpg", odd))["format"] == "JPEG"


def hidden(
    mark: bytes, data: bytes, size: tuple[int, int] = (160, 200), length: int | None = None
) -> Image.Image:
    """A picture with data in its lowest bits, column by column."""
    rgb = mark.startswith(b"stealth_rgb")
    pixels = np.full((size[1], size[0], 4), 254, np.uint8)
    bits = np.unpackbits(np.frombuffer(mark + struct.pack(">I", length or 8 * len(data)) + data, np.uint8))
    columns = pixels.transpose(1, 0, 2)
    flat = columns[..., :3].reshape(-1).copy() if rgb else columns[..., 3].reshape(-1).copy()
    flat[: len(bits)] |= bits
    if rgb:
        columns[..., :3] = flat.reshape(columns[..., :3].shape)
        return Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
    columns[..., 3] = flat.reshape(columns[..., 3].shape)
    return Image.fromarray(pixels)


MARKS = [b"stealth_pnginfo", b"stealth_pngcomp", b"stealth_rgbinfo", b"stealth_rgbcomp"]


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("size", [(160, 200), (500, 40)], ids=["tall", "flat"])
def test_the_lowest_bits(tmp_path: Path, mark: bytes, size: tuple[int, int]):
    data = gzip.compress(TEXT.encode()) if mark.endswith(b"comp") else TEXT.encode()
    hidden(mark, data, size).save(tmp_path / "x.png")
    check(tmp_path / "x.png")


def test_every_filter_of_png_is_understood_at_the_left_edge(tmp_path: Path):
    """Drawn noise makes the encoder choose among all of them."""
    dice = np.random.default_rng(3)
    image = np.asarray(hidden(b"stealth_pnginfo", TEXT.encode(), (90, 400))).copy()
    image[..., :3] = dice.integers(0, 255, image[..., :3].shape) // np.array([1, 2, 9], np.uint8)
    image[::3, :, :3] = 7
    rows = []
    above = np.zeros(image.shape[1] * 4, np.uint8)
    for at, row in enumerate(image.reshape(len(image), -1)):
        left = np.concatenate([np.zeros(4, np.uint8), row[:-4]])
        corner = np.concatenate([np.zeros(4, np.uint8), above[:-4]])
        guess = left.astype(int) + above - corner
        near = np.stack([abs(guess - each) for each in (left, above, corner)]).argmin(0)
        paeth = np.choose(near, [left, above, corner]).astype(np.uint8)
        predicted = [0 * row, left, above, ((left.astype(int) + above) // 2).astype(np.uint8), paeth][at % 5]
        rows.append(bytes([at % 5]) + (row - predicted).tobytes())
        above = row
    picture().convert("RGBA").save(tmp_path / "x.png")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, 6, 0, 0, 0)
    (tmp_path / "x.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"".join(rows)))
        + chunk(b"IEND", b"")
    )
    with Image.open(tmp_path / "x.png") as written:
        assert np.array_equal(np.asarray(written), image)
    check(tmp_path / "x.png")


def test_novelais_chunks_in_the_lowest_bits(tmp_path: Path):
    comment = {
        "steps": 20,
        "scale": 6.5,
        "seed": 5,
        "sampler": "k_euler",
        "uc": "fog",
        "width": 832,
        "height": 1216,
        "request_type": "PromptGenerateRequest",
        "strength": 0.7,
    }
    chunks = {
        "Description": "a red duck",
        "Software": "NovelAI",
        "Source": "NovelAI Diffusion V3 7BCCAA2C",
        "Comment": json.dumps(comment),
    }
    hidden(b"stealth_pngcomp", gzip.compress(json.dumps(chunks).encode())).save(tmp_path / "x.png")
    found = metadata.read(tmp_path / "x.png")
    assert found["tool"] == "novelai" and found["prompt"] == "a red duck"
    assert "strength" not in found["settings"], "it was made from words alone"


def test_hidden_texts_that_are_none(tmp_path: Path):
    bomb = gzip.compress(b"a" * 100_000_000)
    for mark, data, length in (
        (b"stealth_pngcomp", bomb, None),
        (b"stealth_pngcomp", b"no gzip at all", None),
        (b"stealth_pnginfo", TEXT.encode(), 2**32 - 8),
        (b"stealth_nothing", TEXT.encode(), None),
    ):
        hidden(mark, data, (1200, 800), length).save(tmp_path / "x.png")
        assert metadata.read(tmp_path / "x.png")["settings"] == {}, mark


def test_pictures_without_the_mark_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stealth_alpha, "_hidden_data", lambda image: pytest.fail("decoded"))
    buffer = io.BytesIO()
    Image.new("RGBA", (64, 300), "red").save(buffer, "PNG")
    (tmp_path / "x.png").write_bytes(buffer.getvalue())
    assert metadata.read(tmp_path / "x.png")["settings"] == {}
