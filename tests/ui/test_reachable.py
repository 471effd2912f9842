"""What other computers reach, tried from the outside: --listen at a true address of the network, --share
without any network, and the reverse proxy of docs/running.md."""

from __future__ import annotations

import getpass
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from running import PAINTED_APP, PATIENCE, free_port, wait_until
from test_gate import OPEN, all_routes, listening
from test_survival import GUARD
from test_survival import process as started

from webbduck_gradio.settings import HOME, Settings
from webbduck_gradio.web.server import StudioServer

RUN = "2020-01-02_03-04-05"


def address_in_the_network() -> str | None:
    """An address of this computer that is not loopback; packets to it take the way of a stranger's."""
    for each in (one for some in psutil.net_if_addrs().values() for one in some):
        if each.family.name == "AF_INET" and not each.address.startswith(("127.", "169.254.")):
            return each.address
    return None


def told(settings: Settings) -> str:
    """What the studio printed at its start, to its owner."""
    return max(settings.outputs.parent.glob("log-*")).read_text()


def picture(settings: Settings) -> str:
    folder = settings.outputs / RUN
    folder.mkdir()
    Image.new("RGB", (64, 48), "orange").save(folder / "0.png")
    return f"{RUN}/0.png"


def test_a_studio_that_listens_is_closed_without_the_password_that_it_printed(
    settings: Settings, locked: StudioServer
) -> None:
    address = address_in_the_network()
    if address is None:
        pytest.skip("This computer has no address in a network.")
    port, image = free_port(), picture(settings)
    routes = all_routes(locked)
    with started(settings, port, more=("--listen",), program=PAINTED_APP) as server:
        assert listening(psutil.Process(server.pid)) == {("0.0.0.0", port)}
        assert f"Other computers on the network reach it at this computer's address, port {port}." in told(
            settings
        )
        ((user, password),) = re.findall(r"User name: (\S+)   Password for this run: (\S+)", told(settings))
        with httpx.Client(base_url=f"http://{address}:{port}", timeout=60, trust_env=False) as stranger:
            reached = set()
            for method, path in sorted(routes):
                filled = re.sub(r"\{[^}]*\}", "x", path)
                answer = stranger.request(method, filled, json={} if method == "POST" else None)
                if answer.status_code not in (401, 404):
                    reached.add((method, path))
            assert len(routes) > 60 and reached - OPEN == set()
            for path in (f"/media/image/{image}", f"/media/thumb/{image}"):
                assert stranger.get(path).status_code == 401
            file = f"/gradio_api/file={settings.outputs / image}"
            assert stranger.get(file).status_code == 401
            wrong = {"username": user, "password": password + "x"}
            assert stranger.post("/login", data=wrong).status_code == 400
            assert stranger.get("/config").status_code == 401
            right = {"username": user, "password": password}
            assert stranger.post("/login", data=right).status_code == 200
            assert stranger.get(f"/media/image/{image}").status_code == 200
            assert stranger.get(file).status_code == 200
            assert "dependencies" in stranger.get("/config").json()
            assert stranger.get("/config", headers={"origin": "http://evil.example"}).status_code == 403
            assert stranger.get("/config", headers={"host": "evil.example"}).status_code == 403
        client = Client(f"http://{address}:{port}", auth=(user, password), verbose=False)
        _, info = client.predict("a duck", steps=1, width=64, height=64, api_name="/generate")
        client.close()
        assert info["status"] == "completed"
    assert password not in (settings.logs / "webbduck.log").read_text()


def test_a_public_link_that_cannot_be_had_is_one_sentence_and_the_studio_serves(
    settings: Settings, tmp_path: Path
) -> None:
    guard = tmp_path / "guard" / "sitecustomize.py"
    guard.parent.mkdir()
    guard.write_text(GUARD.format(report=str(tmp_path / "asked")))
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(guard.parent))
        with started(settings, port, more=("--share",), program=PAINTED_APP) as server:
            wait_until(lambda: "Password for this run" in told(settings))
            lines = told(settings).splitlines()
            assert "api.gradio.app" in (tmp_path / "asked").read_text(), "it was tried"
            assert [line for line in lines if "public link" in line.lower()] == [
                "There is no public link: Gradio's servers could not be reached; restart the studio to try "
                "again (--verbose shows details)."
            ]
            assert len(lines) == 3, lines  # and where it is, and the password
            assert listening(psutil.Process(server.pid)) == {("127.0.0.1", port)}
            password = re.findall(r"Password for this run: (\S+)", told(settings))[0]
            client = Client(f"http://127.0.0.1:{port}", auth=("duck", password), verbose=False)
            _, info = client.predict("a duck", steps=1, width=64, height=64, api_name="/generate")
            client.close()
            assert info["status"] == "completed"


CONF = """
daemon off;
user {user};
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        {location}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, port: int, studio_port: int) -> Iterator[None]:
    """nginx with TLS and the `location` of docs/running.md, in front of a studio."""
    page = (HOME / "docs" / "running.md").read_text()
    (location,) = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    assert "http://127.0.0.1:7860/" in location
    location = location.replace(":7860/", f":{studio_port}/")
    (folder / "conf").write_text(
        CONF.format(folder=folder, port=port, location=location, user=getpass.getuser())
    )
    subject = ["-subj", "/CN=localhost", "-days", "2", "-newkey", "rsa:2048", "-nodes"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", "req", "-x509", *subject, *names, *files], check=True, capture_output=True)
    program = ["nginx", "-p", str(folder), "-c", str(folder / "conf"), "-e", str(folder / "error.log")]
    server = subprocess.Popen(program)
    try:
        wait_until(lambda: (folder / "pid").exists() or server.poll() is not None)
        assert server.poll() is None, (folder / "error.log").read_text()
        yield
    finally:
        server.terminate()
        server.wait(PATIENCE)


@pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("openssl")), reason="nginx or openssl is not installed"
)
def test_behind_the_reverse_proxy_of_the_documentation(settings: Settings, tmp_path: Path) -> None:
    front, port, image = free_port(), free_port(), picture(settings)
    folder = tmp_path / "nginx"
    folder.mkdir()
    url = f"https://localhost:{front}/duck"
    studio = started(settings, port, more=("--public-url", url), program=PAINTED_APP)
    with studio, nginx(folder, front, port):
        trusted = ssl.create_default_context(cafile=str(folder / "cert.pem"))
        password = re.findall(r"Password for this run: (\S+)", told(settings))[0]
        login = {"username": "duck", "password": password}
        with httpx.Client(verify=trusted, timeout=60, trust_env=False) as browser:
            assert browser.get(f"{url}/config").status_code == 401
            assert "auth_required" in browser.get(url, follow_redirects=True).text
            # What a browser sends with a form of the studio's own page.
            own = {"origin": f"https://localhost:{front}", "sec-fetch-site": "same-origin"}
            assert browser.post(f"{url}/login", data=login, headers=own).status_code == 200
            evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
            assert browser.get(f"{url}/config", headers=evil).status_code == 403
            assert browser.get(f"{url}/config").json()["root"] == url
            page = browser.get(f"{url}/").text
            # All that the page is made of comes through the proxy.
            assert re.findall(r'(?:src|href)="/', page) == [], "the root is not the studio's"
            parts = re.findall(r'(?:src|href)="\./([^"]+)"', page)
            assert len(parts) > 2
            assert {browser.get(f"{url}/{part}").status_code for part in parts} == {200}
            assert browser.get(f"{url}/media/thumb/{image}").status_code == 200
        client = Client(f"{url}/", auth=("duck", password), verbose=False, ssl_verify=False)
        source = tmp_path / "mine.png"
        Image.effect_noise((900, 900), 60).convert("RGB").save(source)
        asked = {"steps": 30, "width": 64, "height": 64, "strength": 1.0, "seed": 1}
        call = client.submit("a duck", image=handle_file(source), **asked, api_name="/generate")
        seen = set()
        while not call.done():
            seen.update(each.index for each in call.status().progress_data or [])
        (made,), info = call.result()
        client.close()
        assert info["status"] == "completed" and len(seen) > 1, "progress comes while it runs"
        with Image.open(made) as result:
            assert result.size == (64, 64)
