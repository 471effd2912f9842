"""Hostile input, by endpoint and by field: each attack ends in one clean sentence, the server still serves,
nothing is queued, and nothing is written outside the studio's folders.

A call over HTTP costs many times what its endpoint does. So the endpoints' own functions are given every
attack, and one in `SAMPLE` of them goes over HTTP: another part of the list for each field, so that each
attack comes that way too."""

from __future__ import annotations

import asyncio
import http.client
import inspect
import itertools
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import attacks
import gradio as gr
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from running import PATIENCE

from webbduck_gradio.api import endpoints, registration
from webbduck_gradio.errors import WebbDuckError
from webbduck_gradio.jobs.dispatcher import GPU_ENDPOINT
from webbduck_gradio.request import SETTINGS, GenerationRequest
from webbduck_gradio.settings import HOME
from webbduck_gradio.web.request_validation import Signature, check_call, parse_json
from webbduck_gradio.web.server import StudioServer

RUN = "2021-01-02_03-04-05"
TOO_TELLING = (
    "Traceback",
    'File "',
    "site-packages",
    "\n",
    "root:x:",
    "sqlite3.",
    "pydantic",
    "internal error occurred",
)
HOSTILE = itertools.count()
"""Moved on with each request that carries an attack, by any thread; those that only look are not counted."""
JSON_TYPE = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def target(studio: StudioServer) -> Iterator[StudioServer]:
    """The running studio with a picture to aim at, links that lead out, pages that lie in its outputs, and
    the queue paused, so that what should not have been queued would show."""
    outputs = studio.settings.outputs
    folder = outputs / RUN
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (64, 64), "orange").save(folder / "0.png")
    (folder / "meta.json").write_text("{}")
    for link, leads_to in [
        (folder / "link.png", "/etc/passwd"),
        (folder / "loop.png", "loop.png"),
        (outputs / "linked", "/etc"),
    ]:
        link.unlink(missing_ok=True)
        link.symlink_to(leads_to)
    (outputs / "page.html").write_text("<script>alert(1)</script>")
    (outputs / "vector.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>')
    studio.services.store.pause()
    yield studio
    print(f"\n{next(HOSTILE)} hostile requests")
    studio.services.store.clear_queued()
    studio.services.store.resume()
    for name in ("linked", "page.html", "vector.svg"):
        (outputs / name).unlink()
    (folder / "link.png").unlink()
    (folder / "loop.png").unlink()


CLIENT = httpx.Client(verify=False, trust_env=False, timeout=120)
"""One for all: what a client costs to make is more than a request."""
NOT_LOOKED_AT = {"__pycache__", ".git", ".venv", ".webbduck", "inpaint_input"}


def tree(folder: Path) -> set[str]:
    """What lies below a folder, but for caches and where the studio may write."""
    found: set[str] = set()
    for root, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if each not in NOT_LOOKED_AT and not each.endswith("_cache")]
        found.update(os.path.join(root, each) for each in [*folders, *files])
    return found


@pytest.fixture(scope="module", autouse=True)
def nothing_outside(target: StudioServer) -> Iterator[None]:
    """After all tests: no file is new outside the folders for uploads, inputs and logs."""
    places = [target.settings.outputs.parent, HOME / "webbduck_gradio", HOME / "checkpoint", HOME / "lora"]

    def seen() -> list[set[str]]:
        return [tree(place) for place in places] + [
            set(os.listdir("/")),
            set(os.listdir(HOME)) - NOT_LOOKED_AT,
        ]

    before = seen()
    yield
    assert seen() == before


@pytest.fixture(autouse=True)
def unharmed(target: StudioServer) -> Iterator[None]:
    """After each test: nothing is queued, and it serves."""
    jobs = target.services.store.counts()
    yield
    assert target.services.store.counts() == jobs
    assert ask(target, "health")[0] == "answered"


def attack(target: StudioServer, endpoint: str, values: dict[str, Any]) -> tuple[str, Any]:
    """`ask`, counted."""
    next(HOSTILE)
    return ask(target, endpoint, values)


def ask(target: StudioServer, endpoint: str, values: dict[str, Any] | None = None) -> tuple[str, Any]:
    """("answered", data) or ("refused", sentence) of a call by keyword over plain HTTP."""
    url = f"{target.url}/gradio_api/call/v2/{endpoint}"
    answer = CLIENT.post(url, content=json.dumps(values or {}), headers=JSON_TYPE)
    if answer.status_code != 200:
        assert answer.status_code < 500, answer.text
        return "refused", answer.json()["error"]
    stream = CLIENT.get(f"{url}/{answer.json()['event_id']}").text
    event, data = re.findall(r"event: (\w+)\ndata: (.*)", stream)[-1]
    value = json.loads(data)
    return ("answered", value) if event == "complete" else ("refused", (value or {}).get("error"))


def filled(value: Any, target: StudioServer) -> Any:
    """The attack with its placeholders filled in."""
    if isinstance(value, str):
        for name, text in {
            "run": RUN,
            "home": str(HOME),
            "outputs": str(target.settings.outputs),
            "checkpoints": str(target.settings.checkpoints),
        }.items():
            value = value.replace(f"{{{name}}}", text)
        return value
    if isinstance(value, list):
        return [filled(each, target) for each in value]
    if isinstance(value, dict):
        return {key: filled(each, target) for key, each in value.items()}
    return value


Direct = Callable[[str, dict[str, Any]], tuple[str, Any]]


@pytest.fixture(scope="module")
def direct(target: StudioServer) -> Iterator[Direct]:
    """As `attack` without HTTP and Gradio, by the endpoint's own function. Each file passes for one that the
    caller uploaded, so that the endpoint must refuse it by itself."""
    handlers = {
        handler.__name__.removesuffix("_"): endpoints.for_clients(target.services, handler)
        for module in vars(registration).values()
        if inspect.ismodule(module)
        for handler in vars(module).values()
        if hasattr(handler, endpoints.OPTIONS) and handler.__module__ == module.__name__
    }

    async def answer(handler: Callable[..., Any], values: list[Any]) -> Any:
        async with asyncio.timeout(PATIENCE):
            found = handler(*values)
            return await found if inspect.isawaitable(found) else found

    def call(endpoint: str, values: dict[str, Any]) -> tuple[str, Any]:
        if endpoint == GPU_ENDPOINT:  # its ticket is checked before any function is called
            return attack(target, endpoint, values)
        next(HOSTILE)
        handler = handlers[endpoint]
        defaults = {name: each.default for name, each in inspect.signature(handler).parameters.items()}
        names = tuple(name for name in defaults if name != "request")
        try:
            asked = parse_json(json.dumps(values).encode(), is_own_file=lambda path: True)
            check_call(f"/gradio_api/call/v2/{endpoint}", asked, {endpoint: Signature(names, frozenset())})
            given = defaults | asked | {"request": None}
            asking = answer(handler, [given[name] for name in defaults])
            return "answered", asyncio.run_coroutine_threadsafe(asking, loop).result()
        except WebbDuckError as error:
            return "refused", str(error)
        except gr.Error as error:
            return "refused", error.message

    # In a thread of its own: where browser tests ran before, this one's loop is Playwright's.
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield call
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


SAMPLE = 8
PARTS = itertools.count()


def must_be_refused(
    target: StudioServer, direct: Direct, endpoint: str, field: str, values: list[Any], **more: Any
) -> None:
    def one(by: Direct, value: Any) -> str | None:
        value = filled(value, target)
        kind, text = by(endpoint, {**more, field: value})
        what = f"/{endpoint} {field}={value!r:.80}: {kind} {text!r:.200}"
        if kind != "refused" or not isinstance(text, str) or not text.strip():
            return what
        # Folders of the server, unless the attack itself brought them.
        folders = [
            str(each) for each in (HOME, target.settings.outputs.parent) if str(each) not in repr(value)
        ]
        return what if any(each in text for each in [*TOO_TELLING, *folders]) or len(text) > 400 else None

    wrong = [each for each in map(partial(one, direct), values) if each]
    part = next(PARTS) % min(SAMPLE, len(values))
    with ThreadPoolExecutor(6) as pool:
        over_http = pool.map(partial(one, partial(attack, target)), values[part::SAMPLE])
        wrong += [f"over HTTP: {each}" for each in over_http if each]
    assert not wrong, "\n".join(wrong)


OLD_NAME = "scheduler"
"""Sampler and schedule in one name, which the API takes beside the two."""
SIZES = ("hires_scale", "hires_width", "hires_height")
PARAMETERS = [*GenerationRequest.model_fields, OLD_NAME]


def of_field(name: str) -> list[Any]:
    """The attacks on a field of a generation request."""
    setting = SETTINGS["sampler" if name == OLD_NAME else name]
    if setting.is_number:
        below = [] if name in ("seed", "variation_seed") else [-1]  # -1 asks for a random one
        return [*(attacks.NOT_WHOLE if setting.is_whole else attacks.NOT_A_NUMBER), *below]
    if setting.control == "choice":
        is_switch = set(setting.choices) == {"off", "on"} and name != "freeu"  # takes true and false, too
        return [each for each in [*attacks.NOT_A_CHOICE, None] if each is not True or not is_switch]
    if setting.control in ("list", "model"):
        attempts = [*attacks.TRAVERSAL, 5, True, [], {}, attacks.NAN]
        return [each for each in attempts if each != "" or (not setting.is_optional and name != "vae")]
    if setting.control == "text":
        return [*attacks.NOT_TEXT, None]
    if setting.control == "loras":
        return attacks.NOT_LORAS
    if setting.control == "details":
        return attacks.NOT_DETAILS
    if setting.control == "styles":
        return attacks.NOT_STYLES
    if setting.control == "recorded":
        return attacks.NOT_EMBEDDINGS
    if setting.control == "sides":
        return attacks.NOT_SIDES
    assert setting.control == "file", f"{name} has no attacks yet"
    return [*attacks.as_files(), *(each for each in attacks.TRAVERSAL if each)]


@pytest.mark.parametrize("field", PARAMETERS)
def test_generate(target: StudioServer, direct: Direct, field: str) -> None:
    more = {"prompt": "a duck", "wait_for_result": False}
    if field in ("mask", "outpaint"):
        more["image"] = f"{RUN}/0.png"
    if field.startswith("hires_") and field not in SIZES:
        more["hires_scale"] = 1.5
    must_be_refused(target, direct, "generate", field, of_field(field), **more)


@pytest.mark.parametrize("endpoint", ["generate", "upscale", "caption", "detect"])
def test_waiting_is_a_switch(target: StudioServer, direct: Direct, endpoint: str) -> None:
    more = {"prompt": "a duck"} if endpoint == "generate" else {"image": f"{RUN}/0.png"}
    must_be_refused(target, direct, endpoint, "wait_for_result", [*attacks.NOT_A_SWITCH, None], **more)


FILES = [
    *attacks.as_files(),
    *attacks.TRAVERSAL,
    *(each for each in attacks.NOT_AN_ID if not isinstance(each, dict)),  # {"path": id} is an id
]
UPSCALED = {"image": f"{RUN}/0.png", "wait_for_result": False}
FOLDER = {"images": [f"{RUN}/0.png"], "settings": {"prompt": "a duck"}}
IDS = [*attacks.TRAVERSAL, *attacks.NOT_AN_ID]
PLACES = [*attacks.TRAVERSAL, *attacks.NOT_TEXT, None]
TOOL_NAMES = [*(each for each in attacks.TRAVERSAL if each), 5, True, [], {}]


@pytest.mark.parametrize(
    ("endpoint", "field", "values", "more"),
    [
        ("test", "steps", attacks.NOT_WHOLE, {"prompt": "a duck"}),
        ("test", "image", list(attacks.as_files()), {"prompt": "a duck"}),
        ("upscale", "image", FILES, {"wait_for_result": False}),
        ("upscale", "scale", [*attacks.NOT_WHOLE, 3, 0, -2, 8], UPSCALED),
        ("upscale", "upscaler", TOOL_NAMES, UPSCALED),
        ("upscale", "tile_size", [*attacks.NOT_WHOLE, 0, 63, 2049], UPSCALED),
        ("redraw", "image", FILES, {"wait_for_result": False}),
        ("redraw", "scale", [*attacks.NOT_A_NUMBER, 0, 9], UPSCALED),
        ("redraw", "upscaler", TOOL_NAMES, UPSCALED),
        ("redraw", "captioner", TOOL_NAMES, UPSCALED),
        ("redraw", "tile_size", [*attacks.NOT_WHOLE, 0, 60, 65, 4096], UPSCALED),
        ("redraw", "overlap", [*attacks.NOT_WHOLE, 0, 12, 2048], UPSCALED),
        ("redraw", "strength", [*attacks.NOT_A_NUMBER, 0, 1.5], UPSCALED),
        ("redraw", "prompt", attacks.NOT_TEXT[:-1], UPSCALED),
        ("redraw", "negative_prompt", attacks.NOT_TEXT[:-1], UPSCALED),
        ("redraw", "base_model", TOOL_NAMES, UPSCALED),
        ("redraw", "steps", [*attacks.NOT_WHOLE, 0, 151], UPSCALED),
        ("redraw", "cfg", [*attacks.NOT_A_NUMBER, 0, 31], UPSCALED),
        ("redraw", "sampler", attacks.NOT_A_CHOICE, UPSCALED),
        ("redraw", "schedule", attacks.NOT_A_CHOICE, UPSCALED),
        ("redraw", "seed", [*attacks.NOT_WHOLE, -2, 2**32], UPSCALED),
        ("redraw", "loras", [5, "x", [5], [{"name": 5}], [{"name": "../x"}]], UPSCALED),
        ("redraw", "styles", attacks.NOT_STYLES[:-1], UPSCALED),
        ("redraw", "settings", [5, "x", [1], {"drawing": 5}, {"drawing": {"steps": 0}}, {"x": 1}], UPSCALED),
        ("caption", "image", FILES, {"wait_for_result": False}),
        ("caption", "style", [*attacks.NOT_A_CHOICE, None], UPSCALED),
        ("caption", "captioner", TOOL_NAMES, UPSCALED),
        ("caption", "max_tokens", [*attacks.NOT_WHOLE, 0, -1, None], UPSCALED),
        *(("hires", name, of_field(name), UPSCALED) for name in PARAMETERS if name.startswith("hires_")),
        ("hires", "image", FILES, {"wait_for_result": False}),
        ("generate_folder", "images", ["x", 5, [], [5], [None], [{}], *([each] for each in FILES)], FOLDER),
        ("generate_folder", "settings", ["x", 5, [], {"steps": 0}, {"image": "x"}, {"mask": "x"}], FOLDER),
        ("generate_folder", "skip_existing", attacks.NOT_A_SWITCH, FOLDER),
        ("detect", "image", FILES, {"wait_for_result": False}),
        ("detect", "detector", TOOL_NAMES, UPSCALED),
        ("detect", "confidence", [*attacks.NOT_A_NUMBER, 0, 2, None], UPSCALED),
        ("tokenize", "text", [*attacks.NOT_TEXT[:-1], None], {}),
        ("tokenize", "base_model", [*attacks.TRAVERSAL, 5, [], {}], {"text": "a"}),
        ("tokenize", "which", [*attacks.NOT_A_CHOICE, None], {"text": "a"}),
        ("tokenize", "styles", [each for each in attacks.NOT_STYLES if each != {}], {"text": "a"}),
        ("complete", "text", [*attacks.NOT_TEXT[:-1], None], {}),
        ("complete", "position", [True, 1.5, "x", -1, 2, [], {}], {"text": "a"}),
        ("resolve", "prompt", [*attacks.NOT_TEXT[:-1], None, "__a__", "${x=__b__}${x}"], {}),
        ("resolve", "negative_prompt", attacks.NOT_TEXT[:-1], {"prompt": "a"}),
        ("resolve", "prompt_2", attacks.NOT_TEXT[:-1], {"prompt": "a"}),
        ("resolve", "seed", [*attacks.NOT_WHOLE, -2, 2**32], {"prompt": "a"}),
        ("resolve", "n", [*attacks.NOT_WHOLE, None, 0, -1, 101], {"prompt": "a"}),
        ("resolve", "loras", [5, "x", [5], [{"name": 5}], [{"name": "../x"}]], {"prompt": "a"}),
        ("resolve", "styles", attacks.NOT_STYLES, {"prompt": "a"}),
        (
            "resolve",
            "settings",
            [5, "x", [5], {"cfg": 5}, {"steps": "x"}, {"hires_scale": -1}],
            {"prompt": "a"},
        ),
        ("resolve", "combination", [*attacks.NOT_WHOLE, -1, 1000], {"prompt": "{a|b}"}),
        ("check_model_folder", "path", PLACES, {}),
        ("add_model_folder", "path", PLACES, {}),
        ("add_model_folder", "label", [*attacks.NOT_TEXT[:-2], None], {"path": "/nowhere"}),
        ("remove_model_folder", "label", [*attacks.NOT_TEXT, *attacks.TRAVERSAL, None], {}),
        ("loras", "base_model", [*(each for each in attacks.TRAVERSAL if each), 5, [1], {"a": 1}], {}),
        ("embeddings", "base_model", [*attacks.TRAVERSAL, 5, [1], {"a": 1}], {}),
        ("convert", "kind", [*attacks.NOT_A_CHOICE, None, "lora"], {"name": "x.pt"}),
        ("convert", "name", [*TOOL_NAMES, None], {"kind": "lora"}),
        ("cancel_conversion", "conversion_id", [*attacks.NOT_WHOLE, None, 0, -1], {}),
        ("job", "job_id", IDS, {}),
        ("cancel", "job_id", IDS, {}),
        ("cancel", "after_image", [*attacks.NOT_A_SWITCH, None], {"job_id": "0" * 16}),
        ("retry", "job_id", IDS, {}),
        ("suspend", "job_id", IDS, {}),
        ("continue", "job_id", IDS, {}),
        ("move", "job_id", IDS, {"position": 1}),
        ("move", "position", [*attacks.NOT_WHOLE, None, 0, -1, "first"], {"job_id": "0" * 16}),
        ("gallery", "start", [*attacks.NOT_WHOLE, -1, None], {}),
        ("gallery", "limit", [*attacks.NOT_WHOLE, 0, -1, 201, None], {}),
        ("gallery", "after", ["now", "", [], {}, True, attacks.NAN, None], {}),
        ("gallery", "query", [5, [], {}, True, None, "a" * 401], {}),
        ("gallery", "order", ["", "random", "newest; DROP", 5, [], {}, None], {}),
        ("image", "image_id", IDS, {}),
        ("delete_image", "image_id", IDS, {}),
        ("delete_run", "run", [each for each in IDS if each not in ("{run}",)], {}),
        ("restore", "entry_id", IDS, {}),
        ("device_settings", "memory", [*(each for each in attacks.NOT_A_CHOICE if each != ""), None], {}),
        ("device_settings", "compile", attacks.NOT_A_SWITCH, {}),
        ("health", "extra", [1, "x", None, {}], {}),
        ("queue", "job_id", [1, "x", None, {}], {}),
        ("generate", "wdith", [512], {"prompt": "a duck"}),
        ("generate", "request", ["x", {}], {"prompt": "a duck"}),
        ("generate", "__class__", ["x", {}], {"prompt": "a duck"}),
        ("gpu_lane", "ticket", ["", "guess", None, 5, [], {}, "a" * 5000], {}),
    ],
)
def test_endpoints(
    target: StudioServer, direct: Direct, endpoint: str, field: str, values: list[Any], more: dict
) -> None:
    must_be_refused(target, direct, endpoint, field, values, **more)


def test_every_parameter_of_the_api_is_attacked(target: StudioServer) -> None:
    """A parameter that is added to the API later needs its attacks here."""
    tried = {
        mark.args[1][number][:2] for mark in test_endpoints.pytestmark for number in range(len(mark.args[1]))
    }
    tried |= {("generate", field) for field in [*PARAMETERS, "wait_for_result"]}
    tried |= {
        (endpoint, "wait_for_result") for endpoint in ("upscale", "redraw", "caption", "detect", "hires")
    }
    # /test takes the fields of /generate through the same function.
    tried |= {("test", field) for field in PARAMETERS}
    there = CLIENT.get(f"{target.url}/gradio_api/info").json()["named_endpoints"]
    parameters = {
        (name.lstrip("/"), each["parameter_name"])
        for name, endpoint in there.items()
        for each in endpoint["parameters"]
    }
    assert len(there) >= 25
    assert parameters - tried == set()


def upload(target: StudioServer, name: str, content: bytes) -> httpx.Response:
    return CLIENT.post(f"{target.url}/gradio_api/upload", files={"files": (name, content)}, timeout=60)


@pytest.mark.parametrize("endpoint", ["generate", "upscale", "caption"])
def test_files_that_are_no_usable_picture(target: StudioServer, direct: Direct, endpoint: str) -> None:
    stored = len(list(target.settings.inputs.iterdir()))
    more = {"prompt": "a duck"} if endpoint == "generate" else {}
    values = []
    for name, content in attacks.bad_files().items():
        next(HOSTILE)
        (path,) = upload(target, name, content).json()
        values.append({"path": path, "meta": attacks.META})
    must_be_refused(target, direct, endpoint, "image", values, wait_for_result=False, **more)
    assert len(list(target.settings.inputs.iterdir())) == stored


@pytest.mark.parametrize("name", list(attacks.good_files()))
def test_unusual_pictures_are_taken(target: StudioServer, name: str) -> None:
    (path,) = upload(target, name, attacks.good_files()[name]).json()
    kind, answer = ask(
        target,
        "generate",
        {"prompt": "a duck", "image": {"path": path, "meta": attacks.META}, "wait_for_result": False},
    )
    assert kind == "answered", answer
    job = answer[1]["job_id"]
    assert ask(target, "cancel", {"job_id": job})[0] == "answered"
    target.services.store.remove(job)


@pytest.mark.parametrize(
    "name",
    ["../../evil.png", "..\\..\\evil.png", "/etc/cron.d/evil", "a\0b.png", "", ".", "..", "~/x", "<b>.png",
     "a" * 300, "con", "x.png\r\nSet-Cookie: a=b", "$(id).png", "%2e%2e%2fevil.png"],
)  # fmt: skip
def test_names_of_uploads_stay_in_their_folder(target: StudioServer, name: str) -> None:
    content = attacks.saved(Image.new("RGB", (8, 8)), "PNG")
    next(HOSTILE)
    answer = upload(target, name, content)
    if answer.status_code == 200:
        for path in answer.json():
            assert Path(path).resolve().is_relative_to(Path(path).parents[1].resolve())
            assert "uploads" in Path(path).parts and ".webbduck" in Path(path).parts
    else:
        assert answer.status_code in (400, 422), answer.text


def test_too_much_is_refused_before_it_is_kept(target: StudioServer) -> None:
    def endless() -> Iterator[bytes]:
        yield b"--x\r\nContent-Disposition: form-data; name=files; filename=a.png\r\n\r\n"
        for _ in range(70):
            yield b"\0" * 2**20
        yield b"\r\n--x--\r\n"

    uploads = target.settings.uploads
    before = sum(path.stat().st_size for path in uploads.rglob("*") if path.is_file())
    headers = {"content-type": "multipart/form-data; boundary=x"}
    url = f"{target.url}/gradio_api/upload"
    next(HOSTILE)
    assert CLIENT.post(url, content=endless(), headers=headers, timeout=120).status_code == 413
    # What only says that it is large is refused before it comes.
    next(HOSTILE)
    line = http.client.HTTPConnection("127.0.0.1", target.settings.port, timeout=60)
    line.putrequest("POST", "/gradio_api/upload")
    for name, value in {**headers, "content-length": str(2**40)}.items():
        line.putheader(name, value)
    line.endheaders(b"x")
    assert line.getresponse().status == 413
    line.close()
    after = sum(path.stat().st_size for path in uploads.rglob("*") if path.is_file())
    assert after <= before


POSTS = [
    "/gradio_api/call/generate",
    "/gradio_api/call/v2/generate",
    "/gradio_api/queue/join",
    "/gradio_api/run/predict",
    "/gradio_api/component_server",
    "/gradio_api/cancel",
    "/gradio_api/reset",
    "/gradio_api/upload",
    "/login",
]


@pytest.mark.parametrize("path", POSTS)
def test_malformed_bodies(target: StudioServer, path: str) -> None:
    for name, body in attacks.bodies().items():
        next(HOSTILE)
        answer = CLIENT.post(target.url + path, content=body, headers=JSON_TYPE)
        assert 400 <= answer.status_code < 500, (name, answer.status_code, answer.text[:300])
        assert not any(each in answer.text for each in ("Traceback", 'File "')), name


@pytest.mark.parametrize("path", ["/gradio_api/call/v2/tokenize", "/gradio_api/component_server"])
def test_the_values_of_a_body_and_their_depth_are_bounded(target: StudioServer, path: str) -> None:
    """Small in bytes, but each value is one that is walked over, copied and checked, and Gradio does that by
    functions that call themselves for each level."""
    for body in (
        b'{"text": [%b]}' % b",".join([b"1"] * 60_000),
        b'{"text": [%b]}' % b",".join([b"[]"] * 60_000),
        b"{%b}" % b",".join(b'"%d":1' % each for each in range(60_000)),
        b'{"text": %b%b}' % (b"[" * 61, b"]" * 61),
    ):
        next(HOSTILE)
        answer = CLIENT.post(target.url + path, content=body, headers=JSON_TYPE)
        assert answer.status_code == 400
        assert answer.json()["error"] == "The request is too large or too deeply nested."


@pytest.mark.parametrize(
    "values",
    [
        {"fn_index": -1}, {"fn_index": 10**6}, {"fn_index": "0"}, {"fn_index": None}, {"fn_index": [0]},
        {"fn_index": True}, {"fn_index": 1.5}, {"session_hash": None}, {"session_hash": [1]},
        {"session_hash": {"a": 1}}, {"data": None}, {"data": []}, {"data": "x"}, {"trigger_id": "x"},
        {"event_data": {"a": [1]}, "fn_index": -5}, {"batched": "maybe"}, {"event_id": {"a": 1}},
    ],
)  # fmt: skip
def test_joining_the_queue_with_nonsense(target: StudioServer, values: dict[str, Any]) -> None:
    next(HOSTILE)
    asked = {"fn_index": 0, "session_hash": "abc", "data": [], **values}
    answer = CLIENT.post(f"{target.url}/gradio_api/queue/join", json=asked)
    assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    "values",
    [
        {"fn_name": "__class__"}, {"fn_name": "__init__"}, {"fn_name": "postprocess"},
        {"fn_name": "get_config"},
        {"fn_name": None}, {"fn_name": 5}, {"fn_name": ["x"]}, {"component_id": -1}, {"component_id": "x"},
        {"component_id": [1]}, {"component_id": {"a": 1}}, {"session_hash": [1]},
    ],
)  # fmt: skip
def test_functions_of_components(target: StudioServer, values: dict[str, Any]) -> None:
    next(HOSTILE)
    asked = {"data": "x", "component_id": 1, "session_hash": "abc", "fn_name": "webbduck_runs", **values}
    answer = CLIENT.post(f"{target.url}/gradio_api/component_server", json=asked)
    assert 400 <= answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text


FILES_ASKED = ["/etc/passwd", "/proc/self/environ", "{home}/app.py", "{outputs}/.webbduck/jobs.sqlite3",
    "{outputs}/page.html", "{outputs}/vector.svg", "{outputs}/{run}/meta.json", "{outputs}/{run}/link.png",
    "{outputs}/linked/passwd", "{outputs}/{run}/../../outputs/.webbduck/lock", "http://127.0.0.1:9/x.png",
    "https://example.org/x.png", "//example.org/x.png", "%00.png", "{outputs}/.webbduck/logs/webbduck.log",
    "{outputs}/.webbduck/tmp/x.png", "{checkpoints}/sdxl/models.json", "..%2f..%2fetc%2fpasswd"]  # fmt: skip


@pytest.mark.parametrize("route", ["/gradio_api/file=", "/file=", "/gradio_api/file/", "/gradio_api/proxy="])
def test_files_that_are_not_given_out(target: StudioServer, route: str) -> None:
    for path in FILES_ASKED:
        next(HOSTILE)
        answer = CLIENT.get(f"{target.url}{route}{filled(path, target)}")
        assert answer.status_code in (400, 401, 403, 404), (path, answer.status_code)
        assert b"root:" not in answer.content and b"alert" not in answer.content and len(answer.content) < 400


@pytest.mark.parametrize(
    "kind",
    ["image", "thumb", "trash", "export", "lora", "embedding", "input", "input-thumb", "preview", "other"],
)
def test_media_by_hostile_ids(target: StudioServer, kind: str) -> None:
    for attack in attacks.TRAVERSAL:
        name = filled(attack, target)
        if name in ("/", " ") or len(name) > 2000:
            continue
        for quoted in {name, name.replace("/", "%2f")}:
            try:
                answer = CLIENT.get(f"{target.url}/media/{kind}/{quoted}")
            except httpx.InvalidURL:
                continue
            next(HOSTILE)
            served = answer.status_code == 200 and answer.headers["content-type"].startswith("image/")
            assert served or answer.status_code in (400, 403, 404), (name, answer.status_code)
            if served:  # another spelling of the picture's own id
                assert answer.headers["x-content-type-options"] == "nosniff"
            assert b"root:" not in answer.content and b"SQLite" not in answer.content


@pytest.mark.parametrize("field", ["prompt", "negative_prompt", "prompt_2"])
def test_text_stays_text(target: StudioServer, field: str) -> None:
    """What looks like a script or a template is a prompt like any other, and comes back as it was."""
    for text in attacks.INJECTIONS:
        asked = {"prompt": "a duck", field: text, "wait_for_result": False}
        kind, answer = attack(target, "generate", asked)
        assert kind == "answered", (text, answer)
        assert answer[1]["request"][field] == text
        target.services.store.cancel(answer[1]["job_id"])
        target.services.store.remove(answer[1]["job_id"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = [
    ("job", "job_id"),
    ("move", "position"),
    ("image", "image_id"),
    ("restore", "entry_id"),
    ("gallery", "start"),
    ("gallery", "query"),
    ("tokenize", "text"),
    ("tokenize", "which"),
    ("loras", "base_model"),
    ("generate", "loras"),
    ("generate", "details"),
    ("generate", "styles"),
    ("generate", "steps"),
    ("generate", "image"),
    ("generate", "second_pass_mode"),
    ("upscale", "image"),
    ("caption", "style"),
]


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(place=st.sampled_from(FIELDS), value=JSON)
def test_anything_anywhere(target: StudioServer, place: tuple[str, str], value: Any) -> None:
    """An answer or one sentence, whatever JSON value is given for a parameter."""
    endpoint, field = place
    needed = {"move": {"job_id": "0" * 16}, "tokenize": {"text": "a"}, "generate": {"prompt": "a duck"}}
    values = {**needed.get(endpoint, {}), field: value}
    if endpoint in ("generate", "upscale", "caption"):
        values.setdefault("image", f"{RUN}/0.png" if endpoint != "generate" else None)
        values["wait_for_result"] = False
    kind, answer = attack(target, endpoint, values)
    if kind == "refused":
        assert isinstance(answer, str) and answer.strip(), (place, value, answer)
        assert not any(each in answer for each in TOO_TELLING), (place, value, answer)
    elif endpoint in ("generate", "upscale", "caption"):
        job = next(each for each in (answer[1:] or answer) if isinstance(each, dict))["job_id"]
        target.services.store.cancel(job)
        target.services.store.remove(job)
