"""The command line: flags and environment -> Settings -> the running studio."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import re
import secrets
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from . import __version__, collector, logging_setup
from .core.memory_policies import POLICIES
from .errors import SettingsError
from .settings import LOOPBACK, MEMORY, PRECISION, Settings, number_from
from .web.proxies import bypassing_proxies

LISTEN_HOST = "0.0.0.0"
GENERATED_USER = "duck"
ALL_INTERFACES = (LISTEN_HOST, "::")
RED, RESET = "\033[31m", "\033[0m"


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        prog="python app.py",
        allow_abbrev=False,
        description="WebbDuck, a local SDXL studio. Opens at http://127.0.0.1:7860.",
        epilog="Environment variables, used where the flag is not given: WEBBDUCK_OUTPUT_DIR, "
        "WEBBDUCK_PLUGINS_DIR, WEBBDUCK_AUTH (USER:PASSWORD, hidden from the process list), "
        "WEBBDUCK_THUMB_CONCURRENCY (default 2), WEBBDUCK_CATALOG_POLL_SECONDS (default 3), "
        "WEBBDUCK_MAX_QUEUED (default 32).",
    )
    flags.add_argument(
        "--host", metavar="ADDRESS", help="address to listen on (default 127.0.0.1: this computer only)"
    )
    flags.add_argument("--port", type=int, default=7860, help="port to listen on (default 7860)")
    flags.add_argument(
        "--listen",
        action="store_true",
        help="listen on all network interfaces; requires a password (see --auth, --no-auth)",
    )
    flags.add_argument(
        "--share",
        action="store_true",
        help="create a public Gradio link; requires a password (see --auth, --no-auth)",
    )
    flags.add_argument(
        "--public-url",
        metavar="URL",
        help="public address of the studio behind a reverse proxy, for example "
        "https://example.org/duck; requires a password (see --auth, --no-auth)",
    )
    flags.add_argument(
        "--auth",
        action="append",
        default=[],
        metavar="USER:PASSWORD",
        help="require this user name and password; repeat the flag for more users",
    )
    flags.add_argument(
        "--no-auth",
        action="store_true",
        help="with --listen, --share or --public-url: no password; anyone who finds the address has access",
    )
    flags.add_argument(
        "--output", type=Path, metavar="DIR", help="folder of finished images (default outputs/)"
    )
    flags.add_argument(
        "--checkpoints", type=Path, metavar="DIR", help="folder of checkpoints (default checkpoint/)"
    )
    flags.add_argument("--loras", type=Path, metavar="DIR", help="folder of LoRAs (default lora/)")
    flags.add_argument(
        "--wildcards", type=Path, metavar="DIR", help="folder of lists of words (default wildcards/)"
    )
    flags.add_argument(
        "--inputs", type=Path, metavar="DIR", help="folder of input images (default inpaint_input/)"
    )
    flags.add_argument(
        "--tags", type=Path, metavar="DIR", help="folder of tag lists for completion (default tags/)"
    )
    flags.add_argument(
        "--styles",
        type=Path,
        metavar="FILE",
        help="styles, in the format of AUTOMATIC1111's styles.csv (default styles.csv); styles_*.csv beside "
        "it are read too",
    )
    flags.add_argument(
        "--models-from",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder of another program (AUTOMATIC1111, Forge, ComfyUI, Fooocus, InvokeAI, SwarmUI, "
        "Stability Matrix) whose models are used where they lie, read only; repeat the flag for more",
    )
    flags.add_argument("--no-hf-cache", action="store_true", help="ignore models in the Hugging Face cache")
    flags.add_argument(
        "--device",
        metavar="NAME",
        help="device to run on: cuda, cuda:1, xpu, mps or cpu (default: the fastest one available)",
    )
    flags.add_argument(
        "--memory",
        choices=MEMORY,
        help="how memory of the device is saved; "
        + "; ".join(f"{each.name}: {each.about}" for each in POLICIES)
        + " (default: by free memory and the size of the images, never fp8)",
    )
    flags.add_argument(
        "--precision",
        choices=PRECISION,
        help="precision of the models (default: float16, or float32 on graphics cards where that is wrong "
        "or slow; on the CPU float32, or bfloat16 for large checkpoints if the processor has instructions "
        "for it)",
    )
    flags.add_argument(
        "--compile",
        action="store_true",
        help="compile the models' UNets, for graphics cards; the first picture of a checkpoint takes "
        "longer, once; needs Triton, or on the CPU, where little is gained, a C++ compiler",
    )
    flags.add_argument(
        "--no-preload",
        action="store_true",
        help="load torch and the default checkpoint with the first job instead of right after the start",
    )
    flags.add_argument("--open", action="store_true", help="open the studio in the browser")
    flags.add_argument("--verbose", action="store_true", help="log more detail")
    flags.add_argument("--version", action="version", version=f"WebbDuck {__version__}")
    return flags


def settings_from(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from a command line and an environment.

    Raises `SettingsError` for invalid values, `SystemExit` for flags that argparse rejects.
    """
    asked = parser().parse_args(arguments)
    if not 1 <= asked.port <= 65535:
        raise SettingsError(f"--port must be a number from 1 to 65535, not {asked.port}.")
    if asked.listen and asked.host:
        raise SettingsError("Give --listen or --host, not both; --listen answers on all interfaces.")
    if asked.no_auth and asked.auth:
        raise SettingsError("Give --auth or --no-auth, not both.")
    host = _host(asked.host) if asked.host else LISTEN_HOST if asked.listen else "127.0.0.1"
    public_url = _public_url(asked.public_url) if asked.public_url else None
    reachable = asked.share or public_url or host not in LOOPBACK
    given = asked.auth or [text for text in [environment.get("WEBBDUCK_AUTH")] if text and not asked.no_auth]
    auth = tuple(_user(each) for each in given)
    if len({user for user, _ in auth}) < len(auth):
        raise SettingsError("--auth names the same user twice; give each user once.")
    if reachable and not auth and not asked.no_auth:
        auth = ((GENERATED_USER, secrets.token_urlsafe(9)),)
    defaults = Settings()
    output = asked.output or (
        Path(text) if (text := environment.get("WEBBDUCK_OUTPUT_DIR")) else defaults.outputs
    )
    plugins = environment.get("WEBBDUCK_PLUGINS_DIR")
    return Settings(
        checkpoints=_folder(asked.checkpoints or defaults.checkpoints),
        loras=_folder(asked.loras or defaults.loras),
        wildcards=_folder(asked.wildcards or defaults.wildcards),
        outputs=_folder(output),
        inputs=_folder(asked.inputs or defaults.inputs),
        tags=_folder(asked.tags or defaults.tags),
        styles=_folder(asked.styles or defaults.styles),
        plugins=_folder(Path(plugins)) if plugins else None,
        models_from=tuple(dict.fromkeys(map(_folder, asked.models_from))),
        hf_cache=None if asked.no_hf_cache else hf_cache(environment),
        host=host,
        port=asked.port,
        share=asked.share,
        public_url=public_url,
        open_browser=asked.open,
        auth=auth,
        device=_device(asked.device),
        memory=asked.memory,
        precision=asked.precision,
        compiled=asked.compile,
        preload=not asked.no_preload,
        thumb_concurrency=int(number_from(environment, "WEBBDUCK_THUMB_CONCURRENCY", 2, 1, 64)),
        max_queued=int(number_from(environment, "WEBBDUCK_MAX_QUEUED", 32, 1, 1000)),
        catalog_poll_seconds=number_from(environment, "WEBBDUCK_CATALOG_POLL_SECONDS", 3, 0.2, 3600),
    )


def hf_cache(environment: Mapping[str, str]) -> Path | None:
    """The Hugging Face model cache: WEBBDUCK_HF_CACHE (a folder or "off"), else Hugging Face's own
    default."""
    asked = environment.get("WEBBDUCK_HF_CACHE", "").strip()
    if asked.lower() in ("off", "no", "0", "false"):
        return None
    hub = environment.get("HF_HUB_CACHE")
    home = environment.get("HF_HOME")
    folder = asked or hub or (str(Path(home, "hub")) if home else "~/.cache/huggingface/hub")
    return _folder(Path(folder))


def _device(name: str | None) -> str | None:
    """Validated at start, so that the studio does not run with a device that does not exist."""
    if name is None:
        return None
    if not re.fullmatch(r"(cuda|mps|cpu|xpu)(:\d+)?", name):
        raise SettingsError(f"--device must be cuda, cuda:NUMBER, xpu, mps or cpu, not {name[:40]!r}.")
    if name != "cpu":
        from .core.devices import chosen_device  # loads torch

        chosen_device(name)
    return name


def _folder(path: Path) -> Path:
    return path.expanduser().absolute()


def _host(text: str) -> str:
    """A host name unchanged; an address in canonical form, brackets around IPv6 removed."""
    text = text.strip()
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return text
    if getattr(address, "scope_id", None):
        raise SettingsError(
            f"--host {text} contains the name of a network interface, which browsers cannot open; "
            "give another address of this computer, or :: for all interfaces."
        )
    return str(address)


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    try:
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    plain = re.fullmatch(r"(/[A-Za-z0-9._~-]+)*/?", parts.path)
    if not known or not plain or ".." in parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise SettingsError(
            "--public-url takes the address of the studio, for example https://example.org/duck."
        )
    return text.rstrip("/")


def _user(text: str) -> tuple[str, str]:
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise SettingsError("--auth takes USER:PASSWORD, for example --auth duck:secret.")
    return user, password


def address_lines(settings: Settings, url: str, share_url: str | None, made_password: bool) -> list[str]:
    """The lines printed at start: the addresses, and how to log in."""
    shown = url.replace("//0.0.0.0", "//127.0.0.1").replace("//[::]", "//[::1]")
    lines = [f"WebbDuck is at {shown}"]
    if settings.host in ALL_INTERFACES:
        lines.append(
            f"Other computers on the network reach it at this computer's address, port {settings.port}."
        )
    elif settings.host not in LOOPBACK:
        lines.append(f"Other computers on the network reach it at {settings.host}, port {settings.port}.")
    if settings.public_url:
        lines.append(f"Public address behind the reverse proxy: {settings.public_url}")
    if share_url:
        lines.append(f"Public link: {share_url}")
    elif settings.share:
        lines.append(
            "There is no public link: Gradio's servers could not be reached; "
            "restart the studio to try again (--verbose shows details)."
        )
    if made_password:
        (user, password) = settings.auth[0]
        lines.append(f"User name: {user}   Password for this run: {password}")
    elif not settings.is_loopback_only and not settings.auth:
        lines.append(
            f"{RED}No password: anyone who finds the address can create, view and delete images.{RESET}"
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the studio until it is stopped. Returns the exit code: 2, with a one-line error, if it cannot
    start."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Models are local files; the Hugging Face Hub is never contacted.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    logging_setup.to_terminal("--verbose" in given)
    signal.signal(signal.SIGTERM, _stop)
    try:
        settings = settings_from(given, os.environ)
        # Gradio reads the proxy settings on import.
        with bypassing_proxies(settings.host), collector.paused():
            from .web.server import StudioServer
        server = StudioServer(settings)
        logging_setup.to_file(settings.logs)
        server.start()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(
            f"The package {error.name} is missing; run: python -m pip install -r requirements.txt",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        return 0
    asked_for = any(each.startswith("--auth") for each in given) or os.environ.get("WEBBDUCK_AUTH")
    made = bool(settings.auth) and not asked_for
    try:
        print("\n".join(address_lines(settings, server.url, server.share_url, made)), flush=True)
        server.wait(lambda: _stop_asked)
    except KeyboardInterrupt:
        pass
    at_rest, code = False, 0
    try:
        print("Stopping; a running job is marked as interrupted and can be retried.", flush=True)
        at_rest = server.close()
    except KeyboardInterrupt:
        pass  # a second Ctrl+C: do not wait
    except Exception:
        code = 1
        logging.getLogger(__name__).exception("The studio did not stop cleanly")
    if not at_rest:
        # A sampling step may still be running, and interpreter shutdown would wait for its thread.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    return code


_stop_asked = False


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # The flag too, since Python swallows an exception raised inside a finalizer.
    global _stop_asked
    _stop_asked = True
    raise KeyboardInterrupt
