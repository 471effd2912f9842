"""Numbers as they are typed into the form."""

from __future__ import annotations

import pytest
from typed_numbers import REFUSED, REFUSED_AS_WHOLE, TYPED, WHOLE

from webbduck_gradio.ui.shared.numbers import read, shown


@pytest.mark.parametrize("text", TYPED)
def test_a_comma_is_a_point(text: str) -> None:
    assert read(text) == TYPED[text]


@pytest.mark.parametrize("text", WHOLE)
def test_whole_numbers(text: str) -> None:
    assert read(text, whole=True) == WHOLE[text]


@pytest.mark.parametrize(
    ("text", "whole"), [(t, False) for t in REFUSED] + [(t, True) for t in REFUSED_AS_WHOLE]
)
def test_what_can_be_misread_is_refused(text: str, whole: bool) -> None:
    with pytest.raises(ValueError, match=r"must be|can mean"):
        read(text, whole)


def test_a_number_is_shown_as_it_is_read() -> None:
    for value in (0.1, 0.35, 6.0, 30, 1.25, 1e-7, None):
        assert read(shown(value) if value != 1e-7 else "0.0000001") == value
    assert (shown(6.0), shown(0.3), shown(None), shown("1,5 x")) == ("6", "0.3", "", "1,5 x")
