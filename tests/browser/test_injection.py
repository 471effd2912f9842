"""Hostile text in prompts, LoRA files and loras.json stays text, and the page's policy runs no markup."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

HIT = "window.hit = 1"
EVIL = f"<img src=x onerror='{HIT}'><script>{HIT}</script>${{{HIT}}} {{{{{HIT}}}}}"


@pytest.fixture
def hostile(studio) -> Iterator[None]:
    """A job whose prompt is markup, and a LoRA that is described by it."""
    store, loras = studio.services.store, studio.settings.loras
    store.pause()
    job = studio.services.submit({"prompt": EVIL, "negative_prompt": EVIL, "steps": 1}, "generate")
    (loras / "evil.safetensors").write_bytes(b"<html>" + EVIL.encode())
    (loras / "loras.json").write_text(
        json.dumps({"evil": {"file": "evil.safetensors", "description": EVIL, "trigger": EVIL, "weight": 1}})
    )
    studio.services.registry.refresh()
    yield
    store.cancel(job.id)
    store.remove(job.id)
    store.resume()
    (loras / "evil.safetensors").unlink()
    (loras / "loras.json").unlink()
    studio.services.registry.refresh()


def test_markup_stays_text_in_every_tab(hostile: None, page: Page) -> None:
    for name in ("Queue", "LoRAs", "Gallery", "Studio"):
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(300)
    page.get_by_role("tab", name="Queue").click()
    expect(page.locator("#queue-view .waiting")).to_contain_text("onerror")
    assert page.evaluate("window.hit") is None
    assert page.locator("img[src='x']").count() == 0


def test_markup_that_gets_in_runs_nothing(page: Page) -> None:
    refused = page.evaluate(
        """async () => {
          const refused = [];
          document.addEventListener("securitypolicyviolation",
            (event) => refused.push(event.effectiveDirective));
          const place = document.createElement("div");
          document.body.append(place);
          place.innerHTML = "<img src='data:,x' onerror='window.hit = 1'>"
            + "<iframe srcdoc='<script>parent.hit = 1</script>'></iframe>";
          const inline = document.createElement("script");
          inline.textContent = "window.hit = 1";
          const foreign = document.createElement("script");
          foreign.src = "https://example.org/x.js";
          document.body.append(inline, foreign);
          await fetch("https://example.org/").catch(() => null);
          await new Promise((later) => setTimeout(later, 1000));
          return refused;
        }"""
    )
    assert page.evaluate("window.hit") is None
    assert {"script-src-attr", "script-src-elem", "connect-src"} <= set(refused)
