"""/upscale and /caption through gradio_client: queued jobs, on pictures of the gallery and on files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from running import wait_until

from webbduck_gradio.gallery import metadata

PLUGIN = """
def generate_caption(image, style, max_tokens):
    return f"{style} of {image.width} x {image.height}, at most {max_tokens}"
"""


@pytest.fixture(scope="module")
def client(studio) -> Iterator[Client]:
    folder = studio.services.settings.checkpoints.parent / "plugins"
    (folder / "captioners" / "told").mkdir(parents=True)
    (folder / "captioners" / "told" / "captioner.py").write_text(PLUGIN)
    (folder / "captioners" / "told" / "captioner.py").chmod(0o644)
    (folder / "captioners" / "told").chmod(0o755)
    before = studio.services.settings.plugins
    object.__setattr__(studio.services.settings, "plugins", folder)
    with_client = Client(studio.url, verbose=False)
    yield with_client
    with_client.close()
    # The studio is shared: other tests begin without a captioner.
    object.__setattr__(studio.services.settings, "plugins", before)
    shutil.rmtree(folder)
    studio.services.registry.refresh()


@pytest.fixture(scope="module")
def painted(client: Client) -> str:
    """Id of a finished picture."""
    _, info = client.predict("a red duck", seed=7, steps=2, width=64, height=96, api_name="/generate")
    return info["images"][0]


def test_a_larger_copy_lies_beside_its_original(client: Client, studio, painted: str) -> None:
    (file,), info = client.predict(painted, upscaler="Lanczos", api_name="/upscale")
    assert info["images"] == [painted.replace("0.png", "0_upscaled.png")]
    assert (info["status"], info["upscaler"], info["scale"]) == ("completed", "Lanczos", 2)
    original = studio.services.outputs.resolve(painted)
    with Image.open(file) as grown, Image.open(original) as before:
        assert grown.size == (128, 192)
        expected = before.convert("RGB").resize((128, 192), Image.Resampling.LANCZOS)
        assert grown.convert("RGB").tobytes() == expected.tobytes()
    told, before_told = metadata.read(Path(file)), metadata.read(original)
    assert told["request"] == before_told["request"]
    assert told["parameters"] == before_told["parameters"]
    assert (told["upscaled"]["from"], told["upscaled"]["scale"]) == (painted, 2)
    # Again, and four times: beside the first one, not over it.
    _, again = client.predict(painted, scale=4, upscaler="Lanczos", api_name="/upscale")
    assert again["images"] == [painted.replace("0.png", "0_upscaled-2.png")]
    (run,) = [r for r in client.predict(api_name="/gallery") if r["run"] == painted.split("/")[0]]
    assert run["images"][0]["variants"] == [*info["images"], *again["images"]]


def test_a_file_gets_a_run_of_its_own_and_keeps_its_texts(client: Client, studio, tmp_path, painted) -> None:
    original = studio.services.outputs.resolve(painted)
    (tmp_path / "mine.png").write_bytes(original.read_bytes())
    file = handle_file(tmp_path / "mine.png")
    (grown,), info = client.predict(file, upscaler="Lanczos", api_name="/upscale")
    run, _, name = info["images"][0].partition("/")
    assert name == "0.png"
    assert run != painted.split("/")[0]
    assert metadata.read(Path(grown))["request"] == metadata.read(original)["request"]
    assert json.loads((studio.services.outputs.root / run / "meta.json").read_text())["kind"] == "upscale"


def test_without_a_model_lanczos_is_said_before_and_after(client: Client, painted: str) -> None:
    files, info = client.predict(painted, wait_for_result=False, api_name="/upscale")
    assert files == []
    assert "no usable upscaling model" in info["warnings"][0]
    wait_until(lambda: client.predict(info["job_id"], api_name="/job")["status"] == "completed")
    job = client.predict(info["job_id"], api_name="/job")
    assert job["kind"] == "upscale"
    assert len(job["images"]) == 1
    assert any("Upscaled with Lanczos" in warning for warning in job["warnings"])


def test_captions_in_the_style_that_was_asked_for(client: Client, painted: str) -> None:
    told = client.predict(painted, style="booru", max_tokens=9, api_name="/caption")
    assert told["caption"] == "booru of 64 x 96, at most 9"
    assert (told["style"], told["captioner"], told["status"]) == ("booru", "told", "completed")
    assert told["warnings"] == []
    job = client.predict(told["job_id"], api_name="/job")
    assert job["result"]["caption"] == told["caption"]
    assert (job["kind"], job["images"], job["seeds"]) == ("caption", [], [])
    # It is in the history, where the page draws it.
    recent = client.predict(api_name="/queue")["recent"]
    assert [each["title"] for each in recent if each["job_id"] == told["job_id"]] == [
        f"Caption {painted} (booru)"
    ]


def test_what_is_not_used_of_a_picture_is_said(client: Client, tmp_path: Path) -> None:
    clear = Image.new("RGBA", (40, 30), (200, 30, 30, 90))
    clear.save(tmp_path / "a.png", save_all=True, append_images=[Image.new("RGBA", (40, 30))])
    asked = handle_file(tmp_path / "a.png")
    told = client.predict(asked, captioner="told", api_name="/caption")
    assert told["warnings"] == [
        "The picture is animated; its first frame is used.",
        "The picture has transparent parts, which told sees as white.",
    ]
    (grown,), info = client.predict(asked, upscaler="Lanczos", api_name="/upscale")
    assert info["warnings"][0] == "The picture is animated; its first frame is used."
    assert metadata.read(Path(grown))["upscaled"]["warnings"] == info["warnings"]
    with Image.open(grown) as image:
        assert image.mode == "RGBA"
        assert image.getpixel((40, 30))[3] == 90


def test_a_picture_too_narrow_to_describe_is_refused_at_once(client: Client, tmp_path: Path) -> None:
    Image.new("RGB", (1, 200)).save(tmp_path / "narrow.png")
    with pytest.raises(AppError, match="1 x 200 pixels; a caption needs at least 4 x 4"):
        client.predict(handle_file(tmp_path / "narrow.png"), captioner="told", api_name="/caption")
    (grown,), _ = client.predict(
        handle_file(tmp_path / "narrow.png"), upscaler="Lanczos", api_name="/upscale"
    )
    with Image.open(grown) as image:
        assert image.size == (2, 400)


@pytest.mark.parametrize(
    ("endpoint", "asked", "words"),
    [
        ("/upscale", {"image": "nothing/0.png"}, "no such picture in the gallery"),
        ("/upscale", {"image": "/etc/passwd"}, "uploaded file or the id"),
        ("/upscale", {"scale": 3}, "scale must be"),
        ("/upscale", {"upscaler": "none"}, "no upscaler named 'none'"),
        ("/caption", {"image": "../0.png"}, "uploaded file or the id"),
        ("/caption", {"style": "rude"}, "style must be one of: detailed, short, sd_prompt"),
        ("/caption", {"captioner": "none"}, "no captioner named 'none'; there are: told"),
        ("/caption", {"max_tokens": 0}, "max_tokens must be a whole number from 1 to 1,000"),
        ("/caption", {"wait_for_result": "yes"}, "wait_for_result must be true or false"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_queued(client, painted, endpoint, asked, words) -> None:
    before = client.predict(api_name="/queue")["counts"]
    with pytest.raises(AppError, match=words):
        client.predict(**{"image": painted, **asked}, api_name=endpoint)
    assert client.predict(api_name="/queue")["counts"] == before


def test_what_there_is(client: Client) -> None:
    assert client.predict(api_name="/upscalers") == [{"name": "Lanczos", "origin": "", "reason": None}]
    assert [each["name"] for each in client.predict(api_name="/captioners")][:1] == ["told"]
    assert client.predict(api_name="/caption_styles")[0] == "detailed"
