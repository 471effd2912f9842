"""Numbers as people type them, and what they mean; the page and the server read them alike."""

from __future__ import annotations

TYPED = {
    "1,5": 1.5,
    "1.5": 1.5,
    " 0,75 ": 0.75,
    ",5": 0.5,
    "-0,35": -0.35,
    "7": 7.0,
    "7,": 7.0,
    "0,125": 0.125,
    "1.500": 1.5,
    "": None,
    " ": None,
}
WHOLE = {"12": 12, "-1": -1, " 007 ": 7, "4294967295": 4294967295, "": None}
REFUSED = ["1,500", "12,000", "1.234,5", "1,2,3", "1 000", "1e3", "abc", "1_5", "٣", "--1", ",", "1" * 41]
REFUSED_AS_WHOLE = ["1,5", "1.5", "1.000", "1,000", "20,0", "20.", "1e1", "abc", "1_000", "9" * 41]
