"""What clients can reach: pictures by id, nothing else of the disk, nothing without the password."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from PIL import Image

from webbduck_gradio.settings import HOME
from webbduck_gradio.web.server import StudioServer


@pytest.fixture
def picture(studio: StudioServer) -> str:
    """Id of a picture in the gallery of the running studio."""
    folder = studio.settings.outputs / "2020-01-02_03-04-05"
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (64, 48), "orange").save(folder / "0.png")
    return f"{folder.name}/0.png"


def get(studio: StudioServer, path: str, **headers: str) -> httpx.Response:
    return httpx.get(studio.url + path, headers=headers)


def test_pictures_and_thumbnails_by_id(studio: StudioServer, picture: str) -> None:
    full = get(studio, f"/media/image/{picture}")
    small = get(studio, f"/media/thumb/{picture}")
    assert full.status_code == small.status_code == 200
    assert full.content == (studio.settings.outputs / picture).read_bytes()
    assert small.headers["content-type"] == "image/webp"
    assert full.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in full.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/media/image/../../etc/passwd",
        "/media/image/%2e%2e/%2e%2e/etc/passwd",
        "/media/image//etc/passwd",
        "/media/image/.webbduck/jobs.sqlite3",
        "/media/image/%00.png",
        "/media/thumb/..%2f..%2fetc%2fpasswd",
        "/media/preview/../jobs.sqlite3",
        "/media/preview/..%2fjobs.jpg",
        "/media/other/x",
        "/media/",
    ],
)
def test_nothing_else_under_media(studio: StudioServer, path: str) -> None:
    answer = get(studio, path)
    assert answer.status_code in (403, 404)
    assert b"root:" not in answer.content and b"SQLite" not in answer.content


@pytest.mark.parametrize("route", ["/gradio_api/file=", "/gradio_api/file/", "/file="])
def test_gradios_file_route_gives_out_pictures_only(studio: StudioServer, picture: str, route: str) -> None:
    outputs = studio.settings.outputs
    page = outputs / "page.html"
    page.write_text("<script>alert(1)</script>")
    link = outputs / "link.png"
    link.unlink(missing_ok=True)
    link.symlink_to("/etc/passwd")
    kept = [
        outputs / ".webbduck" / "jobs.sqlite3",
        page,
        link,
        Path("/etc/passwd"),
        outputs / picture[:19] / "meta.json",
    ]
    for path in kept:
        answer = get(studio, f"{route}{path}")
        assert answer.status_code in (401, 403, 404), path
        assert b"alert(1)" not in answer.content and b"root:" not in answer.content
    assert get(studio, f"/gradio_api/file={outputs / picture}").status_code == 200


def test_no_url_is_fetched(studio: StudioServer) -> None:
    assert get(studio, "/gradio_api/file=http://127.0.0.1:9/x.png").status_code == 403


def test_foreign_origins_are_refused(studio: StudioServer) -> None:
    assert get(studio, "/config", Origin="https://evil.example").status_code == 403
    assert get(studio, "/config", Origin="null").status_code == 403
    assert get(studio, "/config", Origin=studio.url).status_code == 200


def test_a_name_that_is_not_ours_is_refused(studio: StudioServer) -> None:
    """DNS rebinding: a foreign name that points at this computer."""
    port = studio.settings.port
    assert get(studio, "/config", Host=f"evil.example:{port}").status_code == 403
    assert get(studio, "/config", Host=f"localhost:{port}").status_code == 200


def test_nothing_without_the_password(locked: StudioServer) -> None:
    folder = locked.settings.outputs / "2020-01-02_03-04-05"
    folder.mkdir()
    Image.new("RGB", (64, 48), "orange").save(folder / "0.png")
    for path in [
        "/config",
        "/gradio_api/info",
        "/media/image/2020-01-02_03-04-05/0.png",
        "/media/thumb/2020-01-02_03-04-05/0.png",
        f"/gradio_api/file={folder / '0.png'}",
    ]:
        assert get(locked, path).status_code == 401, path
    assert list(locked.settings.thumbnails.rglob("*.webp")) == []
    with httpx.Client(base_url=locked.url) as client:
        assert client.post("/login", data={"username": "duck", "password": "wrong"}).status_code == 400
        assert client.post("/login", data={"username": "duck", "password": "secret"}).status_code == 200
        assert client.get("/media/thumb/2020-01-02_03-04-05/0.png").status_code == 200
        assert client.get("/media/image/2020-01-02_03-04-05/0.png").status_code == 200


def test_the_lane_runs_behind_the_password(locked: StudioServer) -> None:
    from gradio_client import Client

    client = Client(locked.url, auth=("duck", "secret"), verbose=False)
    _, info = client.predict("a duck", steps=1, seed=1, api_name="/generate")
    assert info["status"] == "completed"
    assert client.predict(info["job_id"], api_name="/job")["owner"] == "duck"


def test_no_answer_tells_where_things_lie(studio: StudioServer, picture: str) -> None:
    """But for the files of an answer: Gradio's clients fetch each by its path."""
    import json

    from gradio_client import Client

    folders = [str(HOME), str(studio.settings.outputs.parent), str(Path.home())]
    client = Client(studio.url, verbose=False)
    by_name = client.view_api(return_format="dict")["named_endpoints"]
    told = {
        path: get(studio, path).text for path in ("/", "/config", "/gradio_api/info", "/gradio_api/app_id")
    }
    for name, endpoint in by_name.items():
        if not endpoint["parameters"] and name not in ("/free_memory", "/pause", "/resume"):
            told[name] = json.dumps(client.predict(api_name=name))
    told["/gallery"] = json.dumps(client.predict(api_name="/gallery"))
    told["/loras"] = json.dumps(client.predict("webbduck-starter", api_name="/loras"))
    told["/image"] = json.dumps(client.predict(picture, api_name="/image")[1])
    client.close()
    assert len(told) > 12
    for name, text in told.items():
        assert [folder for folder in folders if folder in text] == [], name
