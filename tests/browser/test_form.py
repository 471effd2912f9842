"""The Studio's form: each control reaches the request, is remembered, is filled, and says what is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from form_page import expect_form, put_away, unfold_all
from PIL import Image
from playwright.sync_api import Page, expect
from running import STARTER, free_port, studio_settings, wait_until
from setting_changes import CHANGES
from windows import Windows

from webbduck_gradio.request import SETTINGS, GenerationRequest, in_form_order
from webbduck_gradio.settings import Settings
from webbduck_gradio.web.server import StudioServer

OTHER = "another-checkpoint"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, starter_checkpoints: Path) -> Settings:
    """Folders with two checkpoints and a VAE."""
    root = tmp_path_factory.mktemp("form")
    settings = studio_settings(root, starter_checkpoints, port=free_port())
    (settings.checkpoints / "sdxl" / OTHER).symlink_to(starter_checkpoints / "sdxl" / STARTER)
    (settings.checkpoints / "vae").mkdir(exist_ok=True)
    (settings.checkpoints / "vae" / "other").symlink_to(starter_checkpoints / "sdxl" / STARTER / "vae")
    return settings


@pytest.fixture(scope="module")
def form_studio(place: Settings) -> Iterator[list[StudioServer]]:
    """The studio whose form is tried, with a queue that stands still. In a list, since a test restarts it."""
    holder = [started(place)]
    yield holder
    holder[0].close()


def started(place: Settings) -> StudioServer:
    server = StudioServer(place)
    server.start()
    server.services.store.pause()
    return server


@pytest.fixture
def tab(window: Callable[..., Page], form_studio: list[StudioServer]) -> Page:
    return window(form_studio[0].url, viewport={"width": 1440, "height": 900})


@pytest.fixture(scope="module")
def _kept_tab(kept_windows: Windows, form_studio: list[StudioServer]) -> Page:
    return kept_windows.open(form_studio[0].url, viewport={"width": 1440, "height": 900})


@pytest.fixture
def kept_tab(_kept_tab: Page, kept_windows: Windows) -> Iterator[Page]:
    """One for the tests that say all that they need of the form."""
    put_away(_kept_tab)
    yield _kept_tab
    kept_windows.check()


def drawn(name: str, size: tuple[int, int], folder: Path) -> Path:
    path = folder / f"{name}.png"
    Image.effect_mandelbrot(size, (-2, -1.2, 1, 1.2), 30).convert("RGB").save(path)
    return path


def generated(page: Page, server: StudioServer) -> GenerationRequest:
    """Press Generate; the request that the job stores."""
    store = server.services.store
    store.clear_queued()
    page.click("#generate")
    wait_until(lambda: store.queued() or page.locator(".notice.error").count())
    assert store.queued(), page.locator(".notice.error").all_text_contents()
    return store.queued()[0].generation_request


def text(selector: str) -> Callable[[Page, Any], None]:
    return lambda page, value: page.fill(f"{selector} textarea, {selector} input", str(value))


def option(selector: str) -> Callable[[Page, Any], None]:
    def choose(page: Page, value: Any) -> None:
        page.click(f"{selector} input")
        page.get_by_role("option", name=str(value), exact=True).click()

    return choose


def segment(selector: str, label: str) -> Callable[[Page, Any], None]:
    return lambda page, _: page.locator(selector).get_by_label(label, exact=True).check(force=True)


def enter(page: Page, name: str, value: Any) -> None:
    """Enter a value into the control of a setting, as a person does."""
    setting = SETTINGS[name]
    element = f"#{setting.element_id}"
    if setting.control == "choice":
        segment(element, setting.choices[value])(page, value)
    elif setting.control in ("list", "model"):
        option(element)(page, value)
    else:
        text(element)(page, value)


def settings_that_need(*conditions: str) -> dict[str, Any]:
    """Another value for each setting that has an effect only where the last of these conditions holds."""
    return {
        setting.name: CHANGES[setting.name].value
        for setting in in_form_order(SETTINGS)
        if setting.applies[:1] == conditions[:1]
        and set(conditions) <= set(setting.applies)
        and setting.control not in ("file", "sides", "loras", "details", "styles", "recorded")
    }


WITH_CONTROL = {setting.name for setting in SETTINGS.values() if setting.control != "recorded"}
PLAIN = {
    setting.name: CHANGES[setting.name].value
    for setting in in_form_order(SETTINGS)
    if setting.applies in ((), ("guidance",))
    and setting.control not in ("model", "file", "loras", "details", "styles", "recorded")
    and setting.group != "hires"
}
STAGES = {"keep_stages": PLAIN.pop("keep_stages")}
"""With them pictures are not drawn together."""
RESIZED = {name: PLAIN.pop(name) for name in ("seed_resize_width", "seed_resize_height")}
"""Valid together only."""
BESIDE_PLAIN = {
    name: value
    for condition in (("batch",), ("variation",), ("freeu",), ("guidance", "mimic"), ("whole_area",))
    for name, value in settings_that_need(*condition).items()
}
WITH_SAMPLERS: tuple[dict[str, Any], ...] = tuple(
    {**chosen, **{name: CHANGES[name].value for name in names}}
    for chosen, names in (
        ({}, ("eta", "s_noise", "ensd")),  # with the sampler of PLAIN
        ({"sampler": "Euler"}, ("s_churn", "s_tmin", "s_tmax")),
        ({"schedule": "Karras"}, ("sigma_min", "sigma_max", "rho")),
        ({"schedule": "Beta"}, ("beta_alpha", "beta_beta")),
    )
)
WITH_REFINER = {"second_pass_model": STARTER, "second_pass_mode": "refiner"} | settings_that_need(
    "second_pass", "refiner_pass"
)
WITH_IMG2IMG = {"second_pass_mode": "img2img"} | settings_that_need("second_pass", "img2img_pass")
WITH_HIRES = {"hires_scale": 1.5} | settings_that_need("hires") | {"hires_model": OTHER}
HIRES_SIZE = {"hires_width": 2048, "hires_height": 2048}
"""In place of a scale."""
WITH_PICTURE = settings_that_need("image") | settings_that_need("partial")
WITH_MASK = settings_that_need("mask") | settings_that_need("soft_border")
BY_OTHER_TESTS = {
    "loras": "test_stack.py", "outpaint": "test_outpaint.py", "details": "test_details_page.py",
    "styles": "test_styles_page.py",
    "image": "below", "mask": "below", "base_model": "below",
}  # fmt: skip


def test_each_setting_is_tried() -> None:
    tried = {*PLAIN, *RESIZED, *BESIDE_PLAIN, *(name for each in WITH_SAMPLERS for name in each)}
    tried |= {*WITH_REFINER, *WITH_IMG2IMG, *STAGES, *WITH_HIRES, *HIRES_SIZE}
    tried |= {*WITH_PICTURE, *WITH_MASK, *BY_OTHER_TESTS}
    assert tried == WITH_CONTROL


def test_each_control_shows_in_the_stored_request(
    tab: Page, form_studio: list[StudioServer], tmp_path: Path
) -> None:
    server = form_studio[0]
    unfold_all(tab)
    text("#seed")(tab, 12)
    before = generated(tab, server)
    assert before.base_model == OTHER, "a checkpoint of the user's own comes first"
    # The table has a row for each control that there is.
    assert set(tab.evaluate("Object.keys(webbduck.form.state())")) == WITH_CONTROL
    option("#checkpoint")(tab, STARTER)
    expect_form(tab, base_model=STARTER)
    asked = {"base_model": STARTER}

    def try_all(changes: dict[str, Any]) -> None:
        """Each control reaches its own setting, and nothing of what was asked for before goes."""
        nonlocal before
        assert [field for field, value in changes.items() if getattr(before, field) == value] == []
        for field, value in changes.items():
            enter(tab, field, value)
        asked.update(changes)
        before = generated(tab, server)
        assert {name: getattr(before, name) for name in asked} == asked

    try_all(PLAIN)
    try_all(BESIDE_PLAIN)
    for trial in WITH_SAMPLERS:
        try_all(trial)
        asked = {name: value for name, value in asked.items() if name not in trial}
    for field, value in RESIZED.items():
        enter(tab, field, value)
    asked |= RESIZED
    tab.click("#test")
    wait_until(lambda: len(server.services.store.queued()) == 2)
    test = server.services.store.queued()[-1]
    assert (test.kind, test.generation_request.num_images) == ("test", 1)
    try_all(WITH_REFINER)
    del asked["refiner_switch"], asked["batch_mode"]  # both have no say beside an img2img second pass
    try_all(WITH_IMG2IMG)
    try_all(STAGES)
    try_all(WITH_HIRES)
    text("#hires-scale")(tab, "")
    del asked["hires_scale"]
    try_all(HIRES_SIZE)
    for field in HIRES_SIZE:
        enter(tab, field, "")
    asked = {name: value for name, value in asked.items() if not name.startswith("hires_")}

    picture = drawn("input", (320, 200), tmp_path)
    tab.set_input_files("#image-input .file", picture)
    expect(tab.locator(".chosen-picture .facts")).to_have_text("320 × 200 px")
    now = generated(tab, server)
    assert now.image == f"{hashlib.sha256(picture.read_bytes()).hexdigest()}.png"
    try_all(WITH_PICTURE)
    tab.click(".chosen-picture .paint")
    tab.locator(".mask-view").press(" ")
    tab.get_by_role("button", name="Use mask").click()
    tab.wait_for_function("webbduck.form.state().mask")
    expect_form(tab, mask=generated(tab, server).mask)
    del asked["resize_mode"], asked["tiling"]  # they have a say only while the whole picture is drawn
    try_all(WITH_MASK)

    # What means nothing is neither shown nor asked for.
    tab.locator(".chosen-picture .remove").click()
    option("#second-model")(tab, "Off")
    for selector in ("#strength", "#mask-blur", "#inpaint-area", "#second-mode", "#refinement-strength"):
        expect(tab.locator(selector)).to_be_hidden()
    usual = GenerationRequest.validated(base_model=STARTER, seed=0)
    now = generated(tab, server)
    for field in (*WITH_REFINER, *WITH_IMG2IMG, *WITH_PICTURE, *WITH_MASK, "image", "mask"):
        assert getattr(now, field) == getattr(usual, field), field


def test_settings_survive_reload_new_tab_and_restart(
    tab: Page, form_studio: list[StudioServer], place: Settings, tmp_path: Path
) -> None:
    tab.fill("#prompt textarea", "a red duck on a pond")
    tab.fill("#width input", "250")  # out of step, and still as it was typed
    tab.click("[data-fold=more]")
    segment("#output-format", "JPEG")(tab, None)
    tab.set_input_files("#image-input .file", drawn("kept", (64, 64), tmp_path))
    tab.wait_for_function("webbduck.form.state().image && webbduck.form.state().output_format === 'jpg'")
    left = tab.evaluate("webbduck.form.state()")

    def same(page: Page) -> None:
        page.wait_for_function("window.webbduck?.form?.state()")
        expect_form(page, **left)
        expect(page.locator("#output-format")).to_be_visible()

    tab.reload()
    same(tab)
    second = tab.context.new_page()
    second.goto(tab.url)
    same(second)
    second.close()
    form_studio[0].close()
    form_studio[0] = started(place)
    tab.goto(tab.url)
    same(tab)


def test_a_checkpoint_that_vanishes_while_it_is_chosen(tab: Page, place: Settings) -> None:
    mine = place.checkpoints / "sdxl" / OTHER
    expect(tab.locator("#checkpoint input")).to_have_value(OTHER)
    tab.fill("#width input", "320")
    tab.fill("#steps input", "9")
    tab.wait_for_function("webbduck.form.state().steps === 9 && webbduck.form.state().width === 320")
    mine.unlink()
    try:
        notice = tab.locator(".notice.error")
        expect(notice).to_have_count(1)
        expect(notice).to_contain_text(
            f"The checkpoint {OTHER} is no longer available; {STARTER} is selected instead. "
            "Size, steps, CFG and sampler are unchanged."
        )
        expect(tab.locator("#checkpoint input")).to_have_value(STARTER)
        expect(tab.locator("#width input")).to_have_value("320")
        notice.get_by_role("button", name="Use 256 × 256, 20 steps").click()
        expect(tab.locator("#width input")).to_have_value("256")
        expect(tab.locator("#steps input")).to_have_value("20")
        expect(notice).to_have_count(0)
        tab.locator("#toast").get_by_role("button", name="Undo").click()
        expect(tab.locator("#width input")).to_have_value("320")
    finally:
        mine.symlink_to(place.checkpoints / "sdxl" / STARTER)


def test_a_prompt_that_is_too_long_is_not_cut_but_refused(tab: Page, form_studio: list[StudioServer]) -> None:
    store = form_studio[0].services.store
    store.clear_queued()
    text = "a duck on a pond, " * 400
    tab.fill("#prompt textarea", text)
    tab.wait_for_function("length => webbduck.form.state().prompt.length === length", arg=len(text))
    expect(tab.locator(".prompt-foot .counter")).to_have_text("7,200 of at most 4,000 characters")
    sentence = "Prompt has 7,200 of at most 4,000 characters; shorten it."
    expect(tab.locator(".prompt-message")).to_have_text(sentence)
    tab.click("#generate")
    expect(tab.locator("#problem-prompt")).to_contain_text(sentence)
    assert not store.queued()
    tab.reload()
    tab.wait_for_function("window.webbduck?.form?.state()")
    expect(tab.locator("#prompt textarea")).to_have_value(text)
    assert not tab.evaluate("document.querySelectorAll('[maxlength]').length"), "a field cuts what is pasted"


# From here on in one page, which is open from its first test on.


def test_a_first_visit_explains_itself(kept_tab: Page) -> None:
    stage = kept_tab.locator(".stage .empty")
    expect(stage.locator("li")).to_have_count(3)
    example = stage.get_by_role("button", name="a red duck on a pond")
    expect(example).to_have_count(0)  # which is for the starter
    option("#checkpoint")(kept_tab, STARTER)
    expect(stage).to_contain_text("the bundled starter model draws cartoon scenes with ducks")
    example.click()
    expect(kept_tab.locator("#prompt textarea")).to_have_value("a red duck on a pond")
    expect(kept_tab.locator("#prompt textarea")).to_be_focused()


def test_a_pasted_text_of_settings_fills_the_form_and_can_be_taken_back(kept_tab: Page) -> None:
    kept_tab.fill("#prompt textarea", "before")
    kept_tab.evaluate(
        """() => {
        const area = document.querySelector('#prompt textarea'), data = new DataTransfer();
        area.focus();
        data.setData('text/plain', `a castle, (clouds:1.2)
Negative prompt: rain, wind
Steps: 12, Sampler: Euler a, CFG scale: 7.5, Seed: 4711, Size: 192x256, Model: not-here, Clip skip: 3`);
        const options = { clipboardData: data, bubbles: true, cancelable: true };
        area.dispatchEvent(new ClipboardEvent('paste', options));
        }"""
    )
    expect(kept_tab.locator("#seed textarea, #seed input")).to_have_value("4711")
    wanted = {
        "prompt": "a castle, (clouds:1.2)",
        "negative_prompt": "rain, wind",
        "steps": 12,
        "sampler": "Euler a",
        "schedule": "Uniform",
        "cfg": 7.5,
        "width": 192,
        "height": 256,
        "clip_skip": 1,
    }
    expect_form(kept_tab, **wanted)
    expect(kept_tab.locator(".notice.warning")).to_contain_text("not-here")
    kept_tab.locator("#toast").get_by_role("button", name="Undo").click()
    expect(kept_tab.locator("#prompt textarea")).to_have_value("before")


def test_presets_prompts_and_reset(kept_tab: Page) -> None:
    kept_tab.fill("#steps input", "9")
    kept_tab.fill("#prompt textarea", "a duck worth keeping")
    kept_tab.get_by_role("button", name="Presets", exact=True).click()
    kept_tab.get_by_label("Name of a new preset").fill("<b>nine</b>")
    kept_tab.keyboard.press("Enter")
    kept_tab.get_by_role("button", name="Saved prompts").click()
    kept_tab.get_by_role("button", name="Save the current prompt").click()
    expect(kept_tab.locator("#toast")).to_contain_text("Prompt saved")

    kept_tab.get_by_role("button", name="Presets", exact=True).click()
    kept_tab.get_by_role("button", name="Reset everything").click()
    expect(kept_tab.locator("#prompt textarea")).to_have_value("")
    expect(kept_tab.locator("#steps input")).to_have_value("20")
    kept_tab.get_by_role("button", name="Presets", exact=True).click()
    kept_tab.get_by_role("button", name="<b>nine</b>", exact=True).click()
    expect(kept_tab.locator("#steps input")).to_have_value("9")
    expect(kept_tab.locator("#prompt textarea")).to_have_value("")
    kept_tab.get_by_role("button", name="Saved prompts").click()
    kept_tab.get_by_role("button", name="a duck worth keeping", exact=True).click()
    expect(kept_tab.locator("#prompt textarea")).to_have_value("a duck worth keeping")


def test_a_size_out_of_step_is_said_at_the_control_and_not_rounded(
    kept_tab: Page, form_studio: list[StudioServer]
) -> None:
    kept_tab.fill("#width input", "250")
    said = kept_tab.locator("#problem-width")
    expect(said).to_contain_text("Width must be a multiple of 8")
    expect(kept_tab.locator("#width input")).to_have_value("250")
    expect(kept_tab.locator("#width input")).to_have_attribute("aria-invalid", "true")
    said.get_by_role("button", name="Use 248").click()
    expect(kept_tab.locator("#width input")).to_have_value("248")
    expect(said).to_have_count(0)
    kept_tab.click("[data-fold=more]")
    kept_tab.fill("#clip-skip input", "9")
    kept_tab.click("[data-fold=more]")
    expect(kept_tab.locator("#clip-skip")).to_be_hidden()
    form_studio[0].services.store.clear_queued()
    kept_tab.click("#generate")
    # The group opens, and the sentence stays there until it is read.
    expect(kept_tab.locator("#problem-clip_skip")).to_be_visible()
    kept_tab.locator("#problem-clip_skip .dismiss").click()
    expect(kept_tab.locator("#problem-clip_skip")).to_have_count(0)
    assert not form_studio[0].services.store.queued()


def test_the_counter_counts_as_the_checkpoints_own_tokenizer(
    kept_tab: Page, starter_checkpoints: Path
) -> None:
    from transformers import CLIPTokenizer

    real = CLIPTokenizer.from_pretrained(starter_checkpoints / "sdxl" / STARTER / "tokenizer")
    for prompt in ("a red duck", "Größe: 3,5 日本 🦆!", "don't, won't; it's 2026", "a duck on a pond, " * 20):
        tokens = len(real(prompt, truncation=False)["input_ids"]) - 2
        kept_tab.fill("#prompt textarea", prompt)
        expect(kept_tab.locator(".prompt-foot .counter")).to_have_text(
            f"{tokens} / {75 if tokens <= 75 else 150}", timeout=60_000
        )
    assert tokens > 75
    expect(kept_tab.locator(".prompt-message")).to_contain_text(
        "encoded in 2 chunks of 75: nothing is cut off"
    )
    kept_tab.evaluate("webbduck.form.unfold('more')")
    kept_tab.fill("#prompt-2 textarea", "three more words")
    expect(kept_tab.locator(".prompt-foot .counter")).to_have_text(f"1: {tokens} / 150 · 2: 3 / 75")


def test_a_checkpoint_says_which_settings_it_brought_and_all_can_be_taken_back(kept_tab: Page) -> None:
    toast = kept_tab.locator("#toast")
    option("#checkpoint")(kept_tab, STARTER)
    for field, value in {"width": "256", "height": "256", "steps": "9"}.items():
        kept_tab.fill(f"#{field} input", value)
    expect_form(kept_tab, base_model=STARTER, width=256, height=256, steps=9)
    option("#checkpoint")(kept_tab, OTHER)
    expect(toast).to_contain_text(f"Set as {OTHER} suggests: steps.")
    expect(kept_tab.locator("#steps input")).to_have_value("20")
    toast.get_by_role("button", name="Undo").click()
    expect_form(kept_tab, base_model=STARTER, steps=9)
    expect(kept_tab.locator("#checkpoint input")).to_have_value(STARTER)
    # One that changes nothing has nothing to say.
    kept_tab.fill("#steps input", "20")
    expect_form(kept_tab, steps=20)
    option("#checkpoint")(kept_tab, OTHER)
    expect_form(kept_tab, base_model=OTHER)
    expect(toast).to_be_hidden()
