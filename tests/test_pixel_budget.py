"""What is decoded at once is bounded over all threads, and whoever decodes goes through that one place."""

from __future__ import annotations

import ast
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

import webbduck_gradio
from webbduck_gradio.errors import RequestError, StorageError, WebbDuckError
from webbduck_gradio.gallery import metadata
from webbduck_gradio.gallery.input_images import InputImageStore
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.gallery.thumbnails import Thumbnails
from webbduck_gradio.models.input_checks import check_inputs
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings
from webbduck_gradio.storage import images, masks
from webbduck_gradio.storage.pixel_budget import PixelBudget

SIDE = 64
ALL = SIDE * SIDE
LONG = 60


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def until(condition: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(6000):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("it never came to that")


def test_who_finds_no_room_waits_in_the_order_of_arrival(pool: ThreadPoolExecutor) -> None:
    budget = PixelBudget(100, LONG)
    order: list[str] = []

    def take(pixels: int, name: str) -> None:
        with budget.taken(pixels, name):
            order.append(name)

    with budget.taken(60, "first"):
        pool.submit(take, 40, "beside it").result()
        large = pool.submit(take, 50, "large")
        until(lambda: budget.waiting == 1)
        small = pool.submit(take, 1, "small")  # there is room for it, but it would keep the large one waiting
        until(lambda: budget.waiting == 2)
        assert order == ["beside it"]
    large.result()
    small.result()
    assert sorted(order) == ["beside it", "large", "small"]
    assert (budget.in_use, budget.waiting) == (0, 0)


def test_one_larger_than_all_room_is_decoded_alone(pool: ThreadPoolExecutor) -> None:
    budget = PixelBudget(100, LONG)
    with budget.taken(250, "large"):
        assert budget.in_use == 250
        small = pool.submit(lambda: budget.taken(1, "small").__enter__())
        until(lambda: budget.waiting == 1)
    small.result()


def test_a_thread_never_waits_for_itself(pool: ThreadPoolExecutor) -> None:
    budget = PixelBudget(100, 0)
    with budget.taken(80, "picture"):
        with budget.taken(80, "mask"):
            assert budget.in_use == 160
        assert budget.in_use == 80

        def other() -> None:
            with budget.taken(80, "The picture"):
                pass

        with pytest.raises(StorageError, match=r"The picture could not be read now: other large pictures"):
            pool.submit(other).result()
    assert budget.in_use == 0


def test_room_is_given_back_whatever_happens() -> None:
    budget = PixelBudget(100, 0)
    with pytest.raises(ZeroDivisionError), budget.taken(80, "it"):
        raise ZeroDivisionError
    assert budget.in_use == 0


# ---- who goes through it


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


class Place:
    """Pictures on the disk, and all that decodes them."""

    def __init__(self, settings: Settings):
        self.inputs = InputImageStore(settings)
        self.thumbnails = Thumbnails(settings, Outputs(settings))
        self.run = settings.outputs / "run"
        self.run.mkdir(parents=True)
        clear = Image.new("RGBA", (SIDE, SIDE), (200, 30, 40, 120))
        clear.save(self.run / "0.png")
        hide(clear, "a duck\nSteps: 20, Sampler: Euler a, Seed: 7").save(self.run / "1.png")
        self.picture = self.inputs.store(encoded(clear))
        mask = Image.new("L", (SIDE, SIDE))
        mask.paste(255, (8, 8, 24, 24))
        self.mask = self.inputs.store(encoded(mask))

    def check(self, **fields) -> list[str]:
        return check_inputs(self.inputs, GenerationRequest.validated(prompt="x", base_model="any", **fields))


def hide(image: Image.Image, text: str) -> Image.Image:
    """The text in the lowest bits of alpha, column by column."""
    data = b"stealth_pnginfo" + (8 * len(text)).to_bytes(4, "big") + text.encode()
    bits = [byte >> (7 - bit) & 1 for byte in data for bit in range(8)]
    image = image.copy()
    for place, bit in enumerate(bits):
        at = divmod(place, image.height)
        *colour, alpha = image.getpixel(at)
        image.putpixel(at, (*colour, alpha & 254 | bit))
    return image


DECODERS: dict[str, Callable[[Place], object]] = {
    "storing an input": lambda place: place.inputs.store(encoded(Image.new("RGB", (SIDE, SIDE), "blue"))),
    "checking a picture": lambda place: place.check(image=place.picture),
    "checking a mask": lambda place: masks.read(place.inputs.path(place.mask)),
    "a job's picture": lambda place: images.read(place.inputs.path(place.picture), "The input picture"),
    "a thumbnail": lambda place: place.thumbnails.thumbnail("run/0.png"),
    "settings in the pixels": lambda place: metadata.read(place.run / "1.png"),
}


@pytest.mark.parametrize("what", DECODERS)
def test_whoever_decodes_waits_for_room_and_says_so_where_there_is_none(
    settings: Settings, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    place, decode = Place(settings), DECODERS[what]
    monkeypatch.setattr(images, "BUDGET", PixelBudget(ALL, 0))
    with images.BUDGET.taken(ALL, "another picture"):
        with pytest.raises(WebbDuckError, match="could not be read now: other large pictures") as caught:
            pool.submit(decode, place).result()
        assert isinstance(caught.value, (StorageError, RequestError))
    monkeypatch.setattr(images, "BUDGET", PixelBudget(ALL, LONG))
    with images.BUDGET.taken(ALL, "another picture"):
        waiting = pool.submit(decode, place)
        until(lambda: images.BUDGET.waiting == 1)
    waiting.result()
    assert (images.BUDGET.in_use, images.BUDGET.most) == (0, ALL)


def test_many_requests_at_once_hold_no_more_than_one(
    settings: Settings, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(settings)
    monkeypatch.setattr(images, "BUDGET", PixelBudget(ALL, LONG))
    asked = [pool.submit(place.check, image=place.picture, mask=place.mask) for _ in range(16)]
    asked += [pool.submit(place.thumbnails.thumbnail, "run/0.png", side) for side in (256, 384)]
    assert all(each.result() for each in asked)
    assert (images.BUDGET.in_use, images.BUDGET.most) == (0, ALL)


def test_what_is_held_of_a_mask_while_it_is_checked_counts(settings: Settings) -> None:
    place = Place(settings)
    with masks.opened(place.inputs.path(place.mask)) as (mask, _):
        assert (mask.mode, images.BUDGET.in_use) == ("L", ALL)
    assert images.BUDGET.in_use == 0


def test_sizes_and_settings_are_told_without_decoding(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The EXIF of a PNG may come after its pixels; a picture that is cut off cannot be decoded."""
    exif = Image.Exif()
    exif[0x0112] = 6
    before = encoded(Image.effect_noise((300, 200), 90), exif=exif)
    start, end = before.index(b"eXIf") - 4, before.index(b"IDAT") - 4
    late = before[:start] + before[end:-12] + before[start:end] + before[-12:]
    for data, size in ((before, (200, 300)), (late, (200, 300)), (before[:20_000], (200, 300))):
        with images.open_picture(io.BytesIO(data), "It") as image:
            assert images.upright_size(image) == size
            assert image.tile, "it was decoded for that"  # type: ignore[attr-defined]
    with images.open_picture(io.BytesIO(late), "It") as image:
        assert images.plain(image).size == (200, 300)


def test_decoders_that_hold_more_count_for_more(tmp_path: Path) -> None:
    image = Image.new("RGB", (SIDE, SIDE))
    for options, times in (({"format": "WEBP"}, 4), ({"format": "JPEG", "progressive": True}, 2)):
        with (
            images.open_picture(io.BytesIO(encoded(image, **options)), "It") as opened,
            images.decoding(opened, "It"),
        ):
            assert images.BUDGET.in_use == times * ALL


# ---- nobody goes round it


def sources() -> Iterator[tuple[Path, ast.Module]]:
    root = Path(webbduck_gradio.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] not in ("starter", "benchmarks"):
            yield path.relative_to(root), ast.parse(path.read_text("utf-8"))


def openings(tree: ast.Module) -> Iterator[ast.Call]:
    """Calls that let Pillow tell the format of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("Image.open", "ImageFile.Parser")):
            yield node


def test_pictures_are_opened_in_one_place_with_the_formats_that_are_allowed() -> None:
    found = [(path, call) for path, tree in sources() for call in openings(tree)]
    assert [path.name for path, _ in found] == ["images.py"]
    assert [ast.unparse(word.value) for word in found[0][1].keywords if word.arg == "formats"] == ["formats"]
    assert images.FORMATS == ("PNG", "JPEG", "WEBP")


@pytest.mark.parametrize("format", ["GIF", "TIFF", "BMP", "PPM", "ICO", "TGA", "EPS", "PDF", "SGI", "AVIF"])
def test_no_other_decoder_is_reached_by_a_picture_of_the_gallery(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    place = Place(settings)
    (place.run / "2.png").write_bytes(encoded(Image.new("RGB", (SIDE, SIDE)), format))
    with pytest.raises(StorageError, match=r"run/2\.png is "):
        place.thumbnails.thumbnail("run/2.png")
    with pytest.raises(RequestError, match="The picture is "):
        place.inputs.store(place.run / "2.png")


def test_nobody_takes_another_way_to_pillows_decoders() -> None:
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("PIL"):
                names = {alias.name for alias in node.names}
                assert not names & {"open", "ImageFile", "ImageSequence", "ImageGrab"}, path
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                modules = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {each.split(".")[0] for each in modules} & {"cv2", "imageio", "skimage"}, path
