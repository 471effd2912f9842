"""Numbers as they are typed into the form."""

from __future__ import annotations

from webbduck_gradio.ui.shared.numbers import read, shown


def test_a_number_is_shown_as_it_is_read() -> None:
    for value in (0.1, 0.35, 6.0, 30, 1.25, 1e-7, None):
        assert read(shown(value) if value != 1e-7 else "0.0000001") == value
    assert (shown(6.0), shown(0.3), shown(None), shown("1,5 x")) == ("6", "0.3", "", "1,5 x")
