"""Wildcards, variants and variables in a prompt, as the extension sd-dynamic-prompts of AUTOMATIC1111 writes
them (docs/SYNTAX.md there), with SwarmUI's `<random:a|b>` and `<wildcard:name>`.

    {a|b}  {0.5::a|b}  {2$$a|b|c}  {1-3$$ and $$a|b|c}     one variant, with weights, several
    __name__  __folder/name__  __colour*__  __name(x=cat)__     a value of a list in wildcards/
    ${x={a|b}}  ${x=!{a|b}}  ${x}  ${x:cat}     a variable: drawn at each use, once; its value, its default
    # at the start of a line or between spaces     a comment
    \\{  \\}  \\|  \\__  \\${     the character itself

syntax    parses a prompt; a text without this syntax stays to the bit as it is
choosing  chooses from the seed of the picture, or by the number of a combination
drawing   puts together what a prompt comes to
record    what a picture's metadata keep of its draws
"""

from .drawing import LABELS, MAX_COMBINATIONS, Draw, Drawn, Lists, combinations, draw_texts
from .record import draw_facts, draw_facts_of_details, files_read, with_drawn_texts
from .syntax import is_dynamic, literal, problems

__all__ = [
    "LABELS",
    "MAX_COMBINATIONS",
    "Draw",
    "Drawn",
    "Lists",
    "combinations",
    "draw_facts",
    "draw_facts_of_details",
    "draw_texts",
    "files_read",
    "is_dynamic",
    "literal",
    "problems",
    "with_drawn_texts",
]
