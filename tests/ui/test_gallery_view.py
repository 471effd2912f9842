"""What the Gallery tab is told: pages, layout, pictures, and what it refuses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webbduck_gradio.api import gallery_serializers
from webbduck_gradio.errors import RequestError
from webbduck_gradio.gallery.index.sort import ORDERS
from webbduck_gradio.request import CaptionRequest, GenerationRequest
from webbduck_gradio.services import Services
from webbduck_gradio.ui.gallery import tab as gallery_tab


@pytest.fixture
def services(settings) -> Services:
    made = Services.start(settings)
    yield made
    made.store.close()
    made.outputs.close()


@pytest.fixture
def ask(services: Services) -> Callable[..., dict[str, Any]]:
    functions = {each.__name__.removeprefix("webbduck_"): each for each in gallery_tab.served(services)}
    return lambda name, value=None: functions[name](value)


def make_run(services: Services, count: int = 1, **fields: Any) -> list[str]:
    asked = {"prompt": "a duck", "base_model": "webbduck-starter", "seed": 7, "num_images": count, **fields}
    request = GenerationRequest.validated(**asked)
    run = services.outputs.new_run(request, "generate", "job")
    ids = [
        run.save(index, Image.new("RGB", (64, 64), "teal"), request.seed_of(index), ["softened"])
        for index in range(count)
    ]
    run.close("completed")
    return ids


def test_pages_and_the_layout_of_all_of_them_agree(services: Services, ask) -> None:
    for number in range(7):
        make_run(services, 1 + number % 3, prompt=f"duck {'odd' if number % 2 else 'even'}", seed=number)
    for query in ("", "odd", "-odd", "is:txt2img", "seed:3", "nothing"):
        for order in ORDERS:
            asked = {"query": query, "order": order}
            counts = ask("layout", asked)["counts"]
            pages = [
                run
                for start in range(0, 8, 3)
                for run in ask("list", {**asked, "start": start, "limit": 3})["runs"]
            ]
            assert [len(run["images"]) for run in pages] == counts, (query, order)
            assert ask("layout", {**asked, "flat": True})["total"] == sum(counts)
            flat = ask("list", {**asked, "flat": True, "start": 0, "limit": 100})["images"]
            assert {image["id"] for image in flat} == {i["id"] for run in pages for i in run["images"]}


def test_names_to_choose_from_find_exactly_what_they_say(services: Services, ask) -> None:
    make_run(services, 2, scheduler="Euler", loras=[{"name": 'ink "fine", v2'}])
    make_run(services, 1, scheduler="Euler a", base_model="webbduck-starter v2")
    gone = make_run(services, 1, scheduler="Heun")[0]
    names = ask("choices")["names"]
    assert names["model"] == [("webbduck-starter", 3), ("webbduck-starter v2", 1)]
    assert names["sampler"] == [("Euler", 2), ("Euler a", 1), ("Heun", 1)]
    assert names["lora"] == [('ink "fine", v2', 2)]
    for column, found in names.items():
        for name, count in found:
            query = f"{column}:={name}" if " " not in name else f'{column}:="{name}"'
            if '"' not in name:
                assert services.outputs.count(query) == count, query
    assert services.outputs.count('-sampler:="euler"') == 2
    services.trash.delete_image(gone)
    assert ask("choices")["names"]["sampler"] == [("Euler", 2), ("Euler a", 1)]


def test_all_that_a_picture_tells(services: Services, ask) -> None:
    ids = make_run(services, 2, negative_prompt="fog", loras=[{"name": "ink", "weight": 0.5}], steps=9)
    services.outputs.save_upscaled(ids[0], Image.new("RGB", (128, 128)), 2, "Lanczos")
    found = ask("image", ids[0])
    rows = dict(found["rows"])
    assert (found["prompt"], found["negative_prompt"], found["warnings"]) == ("a duck", "fog", ["softened"])
    assert (rows["Steps"], rows["Seed"], rows["LoRA"], rows["CFG"]) == ("9", "7", "ink × 0.5", "6")
    assert found["file"]["size_bytes"] == services.outputs.resolve(ids[0]).stat().st_size
    assert len(found["file"]["sha256"]) == 64
    assert [image["id"] for image in found["run"]] == ids
    (copy,) = found["variants"]
    of_copy = ask("image", copy)
    assert of_copy["original"] == ids[0] and of_copy["upscaled"]["scale"] == 2
    assert of_copy["prompt"] == "a duck" and of_copy["reusable"]


def test_the_mask_mode_is_told_in_words_and_settings_without_effect_are_not(services: Services, ask) -> None:
    picture = services.inputs.store(services.outputs.resolve(make_run(services)[0]))
    for fill, said in (("keep", "Inpaint not masked"), ("replace", "Inpaint masked")):
        (made,) = make_run(services, image=picture, mask=picture, inpainting_fill=fill, inpaint_padding=8)
        rows = dict(ask("image", made)["rows"])
        assert (rows["Mask mode"], rows["Masked content"]) == (said, "Fill")
        assert "Padding" not in rows, "the whole picture was drawn"


def test_choosing_takes_upscaled_copies_along(services: Services, ask) -> None:
    ids = make_run(services, 2)
    copy = services.outputs.save_upscaled(ids[0], Image.new("RGB", (128, 128)), 2, "Lanczos")
    packed = ask("export", [ids[0]])
    assert packed["count"] == 2 and packed["url"].startswith("media/export/webbduck-")
    gone = ask("delete", {"ids": [ids[0]], "copies": True})
    assert set(gone["images"]) == {ids[0], copy}
    assert set(ask("restore", gone["id"])["images"]) == {ids[0], copy}
    alone = ask("delete", {"ids": [ids[0]]})
    assert alone["images"] == [ids[0]]
    left = [image["id"] for image in ask("list", {"flat": True})["images"]]
    assert set(left) == {ids[1], copy}, "the copy is a picture of its own now"


@pytest.mark.parametrize("kind", ["upscale", "caption"])
def test_what_a_waiting_job_needs_is_kept(services: Services, ask, kind: str) -> None:
    (image_id,) = make_run(services)
    if kind == "upscale":
        job = services.submit({"image": image_id, "scale": 2}, "upscale")
    else:
        job = services.store.submit(CaptionRequest.validated(image=image_id), kind="caption")
    for asked in ({"ids": [image_id]}, {"run": image_id.rpartition("/")[0]}):
        assert f"needed by a waiting job ({kind})" in ask("delete", asked)["error"]
    with pytest.raises(RequestError, match="needed by a waiting job"):
        gallery_serializers.refuse_needed(services, [image_id])
    assert services.outputs.resolve(image_id).is_file()
    services.store.cancel(job.id)
    assert ask("delete", {"ids": [image_id]})["images"] == [image_id]


def test_favourites_of_many(services: Services, ask) -> None:
    ids = make_run(services, 3)
    assert ask("favourite", {"ids": ids[:2], "on": True})["ids"] == ids[:2]
    assert services.outputs.count("is:favourite") == 2
    assert "no such picture" in ask("favourite", {"ids": [*ids, "gone/0.png"], "on": False})["error"]
    assert services.outputs.count("is:favourite") == 2, "all or none"
    ask("favourite", {"ids": ids, "on": False})
    assert services.outputs.count("is:favourite") == 0


def test_the_trash_as_it_is_shown(services: Services, ask) -> None:
    ids = make_run(services, 3)
    ask("delete", {"run": ids[0].rpartition("/")[0]})
    shown = ask("trash")
    (entry,) = shown["entries"]
    assert (shown["pictures"], entry["count"], entry["images"]) == (3, 3, ids) and shown["size_bytes"] > 300
    assert ask("empty") == {"emptied": 3} and ask("trash")["entries"] == []


OUTSIDE = [
    "../x.png",
    "/etc/passwd",
    "..",
    "",
    None,
    3,
    ["a"],
    "a" * 2000 + ".png",
    "x/../../y.png",
    "a\0.png",
]


@pytest.mark.parametrize("bad", OUTSIDE)
def test_nothing_but_our_own_ids(services: Services, ask, bad: Any, tmp_path: Path) -> None:
    make_run(services)
    before = sorted(path for path in tmp_path.rglob("*.png"))
    for name, value in (
        ("image", bad),
        ("delete", {"ids": [bad]}),
        ("delete", {"run": bad}),
        ("favourite", {"ids": [bad], "on": True}),
        ("export", [bad]),
        ("restore", bad),
    ):
        assert ask(name, value)["error"], name
    assert sorted(path for path in tmp_path.rglob("*.png")) == before


@pytest.mark.parametrize(
    "asked",
    [None, 3, [], {"start": -1}, {"limit": 0}, {"limit": 10_000}, {"start": True}, {"query": 4},
     {"query": "x" * 500}, {"query": "date:soon"}, {"query": " ".join("abcdefghi" * 5)}],
)  # fmt: skip
def test_pages_that_cannot_be(services: Services, ask, asked: Any) -> None:
    answer = ask("list", asked)
    assert "runs" in answer if asked in (None, 3, []) else answer["error"]


def test_broken_files_are_shown_as_such(services: Services, ask) -> None:
    folder = services.settings.outputs / "odd"
    folder.mkdir()
    for name, content in (("empty.png", b""), ("cut.png", b"\x89PNG\r\n\x1a\n"), ("text.jpg", b"hello")):
        (folder / name).write_bytes(content)
    services.outputs.changed("odd")
    (run,) = ask("list", {})["runs"]
    assert all("not a readable picture" in image["problem"] for image in run["images"])
    assert "not a readable picture" in ask("image", "odd/empty.png")["error"]


def test_a_listing_of_files_that_are_gone_by_now(services: Services, ask) -> None:
    ids = make_run(services, 2)
    services.outputs.resolve(ids[0]).unlink()
    assert "no such picture" in ask("image", ids[0])["error"]
    assert "no such picture" in ask("export", ids)["error"]
    assert "no such picture" in ask("delete", {"ids": ids})["error"]
    assert ask("image", ids[1])["prompt"] == "a duck", "the other one is as it was"


def test_made_again_or_varied_from_any_tools_picture(services: Services) -> None:
    (image_id,) = make_run(services, 1, steps=5)
    submit = functools.partial(gallery_tab.submit, services)
    job, notes = submit({"id": image_id, "what": "again"}, None)
    assert (job.request.seed, job.request.steps, notes) == (7, 5, [])
    job, _ = submit({"id": image_id, "what": "vary"}, None)
    assert job.request.seed != 7
    with pytest.raises(Exception, match="There is no action"):
        submit({"id": image_id, "what": "burn"}, None)


def test_ids_and_pages_of_the_views() -> None:
    assert gallery_serializers.ids_of(["a/0.png", "a/0.png"]) == ["a/0.png"]
    with pytest.raises(Exception, match="Select from 1 to 5,000"):
        gallery_serializers.ids_of([f"a/{number}.png" for number in range(5001)])
