"""`python app.py`: what starts, and what is refused with one sentence and exit code 2."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from running import PATIENCE, free_port

from webbduck_gradio import cli
from webbduck_gradio.cli import address_lines, settings_from
from webbduck_gradio.errors import SettingsError
from webbduck_gradio.settings import HOME, Settings
from webbduck_gradio.web.server import StudioServer


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HOME / "app.py"), *arguments], capture_output=True, text=True, timeout=PATIENCE
    )


def test_help_explains_every_flag() -> None:
    text = run("--help").stdout
    flags = ["host", "port", "listen", "share", "auth", "no-auth", "output", "checkpoints", "loras", "open"]
    flags += ["device", "memory", "precision", "compile", "no-preload"]
    assert [flag for flag in flags if f"--{flag}" not in text] == []


# That a refusal is one line and exit code 2 is shown by test_survival.py's second studio.
def test_a_port_in_use_is_one_sentence(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"^Port {port} on 127.0.0.1 cannot be used"):
            StudioServer(replace(settings, port=port))


def test_a_port_that_is_taken_while_the_studio_starts_is_the_same_sentence(settings: Settings) -> None:
    server = StudioServer(replace(settings, port=free_port()))
    try:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", server.settings.port))
            taken.listen()
            with pytest.raises(SettingsError) as refusal:
                server.start()
    finally:
        server.close()
    assert str(refusal.value) == (
        f"Port {server.settings.port} on 127.0.0.1 cannot be used (address already in use); "
        "stop the program that has it or choose another --port."
    )


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError) as refusal:
        StudioServer(settings_from(["--output", str(tmp_path / "file" / "outputs")], {}))
    sentence = str(refusal.value)
    assert sentence.startswith(f"The folder {tmp_path / 'file' / 'outputs'} is not writable")


def test_the_studio_needs_a_new_python() -> None:
    """app.py parses and speaks plainly in a Python that is too old for the rest."""
    program = "import sys; sys.version_info = (3, 9, 1); sys.argv[0] = 'app.py'; import app"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=HOME)
    assert finished.stderr.strip() == "WebbDuck needs Python 3.11 or newer; this is 3.9."
    assert finished.returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "0"],
        ["--port", "70000"],
        ["--auth", "nameonly"],
        ["--auth", "a:b", "--no-auth"],
        ["--auth", "a:b", "--auth", "a:c"],
        ["--listen", "--host", "10.0.0.1"],
        ["--device", "toaster"],
        ["--device", "cuda:77"],
    ],
)
def test_contradictions_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SettingsError):
        settings_from(arguments, {})


@pytest.mark.parametrize(
    "environment",
    [
        {"WEBBDUCK_THUMB_CONCURRENCY": "many"},
        {"WEBBDUCK_CATALOG_POLL_SECONDS": "0"},
        {"WEBBDUCK_MAX_QUEUED": "0"},
    ],
)
def test_environment_that_is_no_number_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(environment))):
        settings_from([], environment)


def test_device_memory_and_precision_can_be_chosen() -> None:
    chosen = settings_from(["--device", "cpu", "--memory", "tiled", "--precision", "bfloat16"], {})
    assert (chosen.device, chosen.memory, chosen.precision) == ("cpu", "tiled", "bfloat16")
    usual = settings_from([], {})
    assert (usual.device, usual.memory, usual.precision) == (None, None, None)
    assert settings_from(["--compile"], {}).compiled and not usual.compiled


def test_the_core_is_loaded_beforehand_unless_asked_otherwise() -> None:
    assert settings_from([], {}).preload
    assert not settings_from(["--no-preload"], {}).preload


def test_folders_of_other_programs_are_named_each_once(tmp_path: Path) -> None:
    one, two = str(tmp_path / "ComfyUI"), str(tmp_path / "Fooocus")
    chosen = settings_from(["--models-from", one, "--models-from", two, "--models-from", one], {})
    assert chosen.models_from == (Path(one), Path(two))
    assert settings_from([], {}).models_from == ()


def test_a_flag_wins_over_the_environment(tmp_path: Path) -> None:
    environment = {"WEBBDUCK_OUTPUT_DIR": str(tmp_path / "environment"), "WEBBDUCK_THUMB_CONCURRENCY": "5"}
    assert settings_from([], environment).outputs == tmp_path / "environment"
    assert settings_from([], environment).thumb_concurrency == 5
    assert settings_from([], {"WEBBDUCK_MAX_QUEUED": "3"}).max_queued == 3
    assert settings_from(["--output", str(tmp_path / "flag")], environment).outputs == tmp_path / "flag"


@pytest.mark.parametrize("arguments", [["--listen"], ["--share"], ["--host", "192.168.1.5"]])
def test_being_reachable_makes_a_password(arguments: list[str]) -> None:
    first, second = settings_from(arguments, {}), settings_from(arguments, {})
    ((user, password),) = first.auth
    assert len(password) >= 12
    assert password != second.auth[0][1]
    told = "\n".join(address_lines(first, "http://0.0.0.0:7860", None, made_password=True))
    assert user in told and password in told


def test_no_password_is_said_in_red() -> None:
    settings = settings_from(["--listen", "--no-auth"], {})
    assert settings.auth == ()
    assert "\033[31mNo password" in "\n".join(address_lines(settings, "http://0.0.0.0:7860", None, False))


def test_the_local_studio_needs_no_password() -> None:
    settings = settings_from([], {})
    assert (settings.host, settings.port, settings.auth) == ("127.0.0.1", 7860, ())
    assert address_lines(settings, "http://127.0.0.1:7860", None, False) == [
        "WebbDuck is at http://127.0.0.1:7860"
    ]


def test_a_stop_whose_exception_went_nowhere_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a finalizer, where Python prints it and goes on."""
    from webbduck_gradio.web.server import StudioServer

    monkeypatch.setattr(cli, "_stop_asked", False)
    with contextlib.suppress(KeyboardInterrupt):
        cli._stop(signal.SIGTERM, None)
    waiter = threading.Thread(target=StudioServer.wait, args=(None, lambda: cli._stop_asked), daemon=True)
    waiter.start()
    waiter.join(PATIENCE)
    assert not waiter.is_alive()
