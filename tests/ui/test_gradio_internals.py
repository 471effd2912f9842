"""What is used of Gradio's inside was read in one version of it."""

from __future__ import annotations

from importlib.metadata import version

import gradio as gr

from webbduck_gradio.api import gradio_internals


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("gradio") == gradio_internals.VERSION, "read api/gradio_internals.py anew"


def test_the_page_of_a_share_link_gets_its_scripts_from_here() -> None:
    tag = (
        b'<script type="module" crossorigin src="https://gradio.s3-us-west-2.amazonaws.com/6/x.js"></script>'
    )
    page = gradio_internals.page_served_locally(b'<link rel="manifest" href="/manifest.json">' + tag)
    assert b"https://" not in page and b'href="./manifest.json"' in page
    assert b'<script type="module"' in page and b"stylesheet" in page


def test_an_event_without_a_table_of_values_counts_as_nothing() -> None:
    for sent in (None, 3, "text", [1]):
        assert gradio_internals.event_data(gr.EventData(None, sent)) == {}
    assert gradio_internals.event_data(gr.EventData(None, {"id": "x"})) == {"id": "x"}
