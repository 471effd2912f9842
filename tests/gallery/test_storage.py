"""The output folder: names, order, crashes, foreign files, and ids from clients."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gallery_helpers import finished_run, picture, request
from PIL import Image

from webbduck_gradio.errors import NotFoundError, SettingsError, StorageError
from webbduck_gradio.gallery import metadata, run_layout
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings


def test_a_run_on_disk(outputs: Outputs):
    asked = request(num_images=2, seed=41, negative_prompt="blurry")
    run = outputs.new_run(asked, "generate", "job-1", owner="ada")
    assert run.save(0, picture("red"), 41, ["a warning"], {"device": "cpu"}) == f"{run.id}/0.png"
    assert run.save(1, picture("blue"), 42, ["a warning"]) == f"{run.id}/1.png"
    run.close("completed")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?", run.id)
    assert sorted(path.name for path in run.path.iterdir()) == ["0.png", "1.png", "meta.json"]
    meta = json.loads((run.path / "meta.json").read_text())
    first_version = (
        "prompt negative_prompt base_model steps cfg width height num_images seed scheduler loras strength "
        "second_pass_model second_pass_mode refinement_strength inpainting_fill mask_blur timestamp"
    )
    assert set(first_version.split()) <= set(meta)
    assert meta["seeds"] == [41, 42] and meta["warnings"] == ["a warning"]
    assert (meta["kind"], meta["job_id"], meta["state"]) == ("generate", "job-1", "completed")
    assert GenerationRequest.validated(**meta["request"]) == asked
    found = metadata.read(outputs.resolve(f"{run.id}/1.png"))
    assert GenerationRequest.validated(**found["request"]) == asked.for_single_image(1)
    assert "ada" not in outputs.resolve(f"{run.id}/1.png").read_bytes().decode("latin-1")


def test_pixels_come_back_as_they_were(outputs: Outputs):
    image = Image.effect_noise((64, 48), 60).convert("RGB")
    run = outputs.new_run(request(), "generate", "job")
    with Image.open(outputs.resolve(run.save(0, image, 7))) as saved:
        assert saved.tobytes() == image.tobytes()


def test_no_picture_is_replaced(outputs: Outputs):
    run = outputs.new_run(request(), "generate", "job")
    run.save(0, picture("red"), 7)
    before = (run.path / "0.png").read_bytes()
    with pytest.raises(StorageError, match="already there"):
        run.save(0, picture("blue"), 7)
    assert (run.path / "0.png").read_bytes() == before


def test_runs_without_a_picture_leave_nothing(outputs: Outputs):
    run = outputs.new_run(request(), "generate", "job")
    run.close("cancelled")
    assert not run.path.exists() and outputs.runs() == []


def test_many_runs_at_once_have_their_own_folders(outputs: Outputs):
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: outputs.new_run(request(), "generate", "job").id, range(64)))
    assert len(set(ids)) == 64


def _open_runs(settings: Settings, count: int, answers) -> None:
    outputs = Outputs(settings)
    answers.put([outputs.new_run(request(), "generate", "job").id for _ in range(count)])


def test_two_processes_never_share_a_folder(settings: Settings):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=_open_runs, args=(settings, 40, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    ids = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert len(set(ids[0]) | set(ids[1])) == 80


WRITER = """
import sys
from pathlib import Path
from PIL import Image
from webbduck_gradio.gallery.outputs import Outputs
from webbduck_gradio.request import GenerationRequest
from webbduck_gradio.settings import Settings
outputs = Outputs(Settings(outputs=Path(sys.argv[1])))
asked = GenerationRequest.validated(prompt="a duck", base_model="m", seed=1, num_images=8)
image = Image.effect_noise((256, 256), 90).convert("RGB")
print("ready", flush=True)
while True:
    run = outputs.new_run(asked, "generate", "job")
    for index in range(8):
        print(run.save(index, image, index + 1), flush=True)
    run.close("completed")
"""


def test_kill_leaves_only_readable_pictures(settings: Settings):
    reported: set[str] = set()
    for attempt in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(settings.outputs)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        reported.add(process.stdout.readline().strip())
        time.sleep(0.013 * attempt)
        process.send_signal(signal.SIGKILL)
        reported |= {line.strip() for line in process.stdout.read().splitlines() if line.endswith(".png")}
        process.wait()
        process.stdout.close()
    outputs = Outputs(settings)
    outputs.lock()
    outputs.unlock()
    assert not list(outputs.temporary.iterdir())
    listed = {image.id for run in outputs.runs(limit=1000) for image in run.images}
    assert reported <= listed
    for image_id in listed:
        path = outputs.resolve(image_id)
        with Image.open(path) as image:
            image.load()
        assert metadata.read(path)["request"]
    for run in outputs.runs(limit=1000):
        assert run.problem is None
    on_disk = {path.name for path in settings.outputs.glob("2*/*")}
    assert all(list(folder.iterdir()) for folder in settings.outputs.glob("2*"))
    assert on_disk <= {"meta.json", *(f"{number}.png" for number in range(8))}


def test_a_full_disk_leaves_nothing_behind(outputs: Outputs):
    run = outputs.new_run(request(), "generate", "job")

    class Full(Image.Image):
        def save(self, *args, **kwargs):
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="disk is full"):
        run.save(0, Full(), 7)
    assert not list(outputs.temporary.iterdir()) and not list(run.path.iterdir())


def test_newest_first_and_in_pages(outputs: Outputs, settings: Settings):
    ids = []
    for name in ["2025-01-01_10-00-00", "2025-01-01_10-00-00-2", "2025-01-01_10-00-00-10"]:
        folder = settings.outputs / name
        folder.mkdir()
        for image in ("0.png", "2.png", "10.png"):
            picture().save(folder / image)
        ids.append(name)
    assert [run.id for run in outputs.runs()] == ids[::-1]
    assert [run.id for run in outputs.runs(start=1, limit=1)] == [ids[1]]
    assert [image.id.split("/")[1] for image in outputs.runs()[0].images] == ["0.png", "2.png", "10.png"]


def test_runs_of_the_first_version(outputs: Outputs, settings: Settings):
    folder = settings.outputs / "2024-05-05_12-00-00"
    folder.mkdir()
    picture().save(folder / "0.png")
    picture(size=(128, 128)).save(folder / "0_upscaled.png")
    meta = {
        "prompt": "an old duck",
        "seed": 3,
        "loras": [{"name": "hat", "weight": 1}],
        "timestamp": 1714903200.5,
    }
    (folder / "meta.json").write_text(json.dumps(meta))
    (run,) = outputs.runs(query="OLD hat")
    assert run.meta == meta and run.created == 1714903200.5
    assert [image.id for image in run.images] == ["2024-05-05_12-00-00/0.png"]
    assert run.images[0].variants == ("2024-05-05_12-00-00/0_upscaled.png",)
    assert outputs.runs(query="goose") == []


@pytest.mark.parametrize(
    "broken", ["{", "[1]", "", "\x00\xff", '{"images": [1], "timestamp": "now", "seeds": 3}']
)
def test_broken_records_and_pictures_do_not_hide_the_rest(outputs: Outputs, settings: Settings, broken: str):
    finished_run(outputs)
    folder = settings.outputs / "2024-05-05_12-00-00"
    folder.mkdir()
    (folder / "0.png").write_bytes(b"")
    (folder / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (folder / "meta.json").write_text(broken, encoding="latin-1")
    (settings.outputs / "2024-empty").mkdir()
    (settings.outputs / "stray.txt").write_text("x")
    runs = outputs.runs()
    assert len(runs) == 2 and len(runs[1].images) == 2
    assert (
        runs[1].problem is None
        if broken.startswith('{"')
        else "2024-05-05_12-00-00/meta.json" in runs[1].problem
    )
    assert (folder / "meta.json").read_text(encoding="latin-1") == broken


def test_changes_on_disk_are_seen(outputs: Outputs):
    run = finished_run(outputs, 2)
    assert len(outputs.runs()[0].images) == 2
    (run.path / "1.png").unlink()
    assert len(outputs.runs()[0].images) == 1
    (run.path / "0.png").unlink()
    assert outputs.runs() == []


def test_listing_rereads_only_what_changed(
    outputs: Outputs, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    old = time.time() - 60
    for number in range(3):
        folder = settings.outputs / f"2024-05-05_12-00-0{number}"
        folder.mkdir()
        picture().save(folder / "0.png")
        os.utime(folder, (old, old))
    assert len(outputs.runs()) == 3
    read: list[str] = []
    original = run_layout.read_folder
    monkeypatch.setattr(run_layout, "read_folder", lambda root, run: read.append(run) or original(root, run))
    picture().save(settings.outputs / "2024-05-05_12-00-01" / "1.png")
    assert len(outputs.runs()) == 3
    assert set(read) == {"2024-05-05_12-00-01", ""}  # the output folder itself changed just now


def test_the_version_rises_with_each_change(outputs: Outputs):
    seen = [outputs.version]
    run = outputs.new_run(request(num_images=2), "generate", "job")
    for index in range(2):
        run.save(index, picture(), index)
        seen.append(outputs.version)
    assert seen == sorted(set(seen))


BAD_IDS = [
    "", ".", "..", "/", "0.png/..", "../secret.png", "RUN/../../secret.png", "RUN/../RUN/0.png",
    "/etc/passwd", "/etc/x.png", "//host/x.png", "C:/x.png", "C:\\x.png", "RUN\\0.png",
    "..\\secret.png", "RUN/0.png\0.png",
    "RUN/%2e%2e/%2e%2e/secret.png", "%2e%2e/secret.png", "..%2fsecret.png", "RUN/0.png/", "RUN//0.png",
    "./RUN/0.png", "RUN/./0.png", ".webbduck/thumbnails/x.png", "RUN/.hidden.png", "RUN/meta.json",
    "RUN/9.png", "RUN", "RUN/folder.png", "RUN/0.png:stream.png", "RUN/link-out.png", "link/secret.png",
    "link-private/x.png", "RUN/0.png\n", "~/x.png", "x" * 5000 + ".png", None, 3, ["RUN/0.png"], b"RUN/0.png",
]  # fmt: skip


@pytest.mark.parametrize("image_id", BAD_IDS)
def test_only_our_own_ids_are_resolved(outputs: Outputs, settings: Settings, image_id, tmp_path: Path):
    folder = settings.outputs / "RUN"
    (folder / "folder.png").mkdir(parents=True)
    picture().save(folder / "0.png")
    picture().save(folder / ".hidden.png")
    (folder / "meta.json").write_text("{}")
    (settings.thumbnails / "x.png").write_bytes(b"x")
    secret = tmp_path / "elsewhere" / "secret.png"
    secret.parent.mkdir()
    picture().save(secret)
    picture().save(settings.outputs.parent / "secret.png")
    (folder / "link-out.png").symlink_to(secret)
    (settings.outputs / "link").symlink_to(secret.parent)
    (settings.outputs / "link-private").symlink_to(settings.thumbnails)
    assert outputs.resolve("RUN/0.png") == (folder / "0.png").resolve()
    with pytest.raises(NotFoundError):
        outputs.resolve(image_id)


def test_one_studio_per_output_folder(settings: Settings):
    holder = Outputs(settings)
    holder.lock()
    holder.lock()  # the same studio may ask again
    with pytest.raises(SettingsError, match="Another WebbDuck already uses the folder"):
        Outputs(settings).lock()
    holder.unlock()
    follower = Outputs(settings)
    follower.lock()
    follower.unlock()


def test_the_lock_proves_that_nobody_writes_what_is_half_written(settings: Settings) -> None:
    # Also where earlier versions put it.
    left = [settings.data_dir / "tmp" / "a.tmp", settings.data_dir / "b.tmp"]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    outputs = Outputs(settings)
    assert all(path.exists() for path in left)
    outputs.lock()
    assert not any(path.exists() for path in left)
    outputs.close()
