"""Styles: what they make of a prompt, and finding them again in a finished one.

Both as AUTOMATIC1111 does (modules/styles.py). The second prompt stays as it is; the hires pass and the
regions of detail passes get the styles of the picture around their own prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ModelError, NotFoundError, RequestError
from ..request import MAX_PROMPT, DetailPass, GenerationRequest
from ..request.region_fields import MAIN_PROMPT, SEPARATOR, SKIPPED
from ..request.style_fields import MAX_STYLES, StyleUse
from .catalog.lookup import quoted
from .style_book import Style, StyleBook

PLACE = "{prompt}"
"""Where a style has the prompt."""
MAX_FINISHED = 4 * MAX_PROMPT
"""Longest prompt with its styles, in characters."""


def put_in(book: StyleBook, request: GenerationRequest) -> tuple[GenerationRequest, list[str]]:
    """The request with the styles' texts in its prompts, and without styles; and sentences about styles that
    are no longer what they were when the request was built.

    Raises `NotFoundError`, `ModelError` for a style, and `RequestError` for prompts that become too long.
    """
    if not request.styles:
        return request, []
    uses = [_looked_up(book, use) for use in request.styles]
    return finished(request.model_copy(update={"styles": tuple(uses)})), changes(book, request.styles)


def finished(request: GenerationRequest) -> GenerationRequest:
    """As `put_in`, for styles whose texts are recorded."""
    if not request.styles:
        return request
    prompts = [use.prompt or "" for use in request.styles]
    negatives = [use.negative_prompt or "" for use in request.styles]
    return request.model_copy(
        update={
            "prompt": applied(prompts, request.prompt, "prompt"),
            "negative_prompt": applied(negatives, request.negative_prompt, "negative prompt"),
            "styles": (),
        }
    )


def all_finished(request: GenerationRequest) -> GenerationRequest:
    """As `finished`, also of the prompts of the hires pass and of detail passes."""
    if not request.styles:
        return request
    prompts = [use.prompt or "" for use in request.styles]
    negatives = [use.negative_prompt or "" for use in request.styles]
    more: dict[str, Any] = {
        "details": tuple(_finished_pass(request, each, prompts, negatives) for each in request.details)
    }
    if request.hires_prompt:
        more["hires_prompt"] = applied(prompts, request.hires_prompt)
    if request.hires_negative_prompt:
        more["hires_negative_prompt"] = applied(negatives, request.hires_negative_prompt)
    return finished(request).model_copy(update=more)


def _finished_pass(
    request: GenerationRequest, each: DetailPass, prompts: list[str], negatives: list[str]
) -> DetailPass:
    def around(text: str, main: str, texts: list[str]) -> str:
        parts = (part.strip() for part in text.split(SEPARATOR))
        return f" {SEPARATOR} ".join(
            part if part in ("", SKIPPED) else applied(texts, part.replace(MAIN_PROMPT, main))
            for part in parts
        )

    return each.model_copy(
        update={
            "prompt": around(each.prompt, request.prompt, prompts),
            "negative_prompt": around(each.negative_prompt, request.negative_prompt, negatives),
        }
    )


def applied(texts: Sequence[str], prompt: str, called: str = "prompt") -> str:
    """The prompt with the styles' texts around it, in turn. Raises `RequestError` if it becomes too long;
    `called` is its name in the message."""
    for text in texts:
        places = text.count(PLACE)
        length = len(text) + places * (len(prompt) - len(PLACE)) if places else len(text) + len(prompt)
        if length > MAX_FINISHED:
            raise RequestError(
                f"The {called} with its styles has more than {MAX_FINISHED:,} characters; leave out a style "
                "or shorten it.",
                field="styles",
            )
        prompt = merged(text, prompt)
    return prompt


def merged(text: str, prompt: str) -> str:
    if PLACE in text:
        return text.replace(PLACE, prompt)
    return ", ".join(filter(None, (prompt.strip(), text.strip())))


def recorded(book: StyleBook, style: object) -> object:
    """A style of a request as it was asked for, with its name and texts as the file has them. What is no
    style is passed on for validation to refuse. Raises `NotFoundError`, `ModelError`."""
    if isinstance(style, StyleUse):
        style = style.model_dump()
    if isinstance(style, str):
        style = {"name": style}
    if not isinstance(style, dict) or not isinstance(style.get("name"), str) or not style["name"]:
        return style
    if style.get("prompt") is None and style.get("negative_prompt") is None:
        found = book.named(style["name"])
        return {"name": found.name, "prompt": found.prompt, "negative_prompt": found.negative_prompt}
    return {
        **style,
        "prompt": style.get("prompt") or "",
        "negative_prompt": style.get("negative_prompt") or "",
    }


def _looked_up(book: StyleBook, use: StyleUse) -> StyleUse:
    return use if use.is_recorded else StyleUse.model_validate(recorded(book, use))


def changes(book: StyleBook, uses: Sequence[StyleUse]) -> list[str]:
    """A sentence for each style whose recorded texts are not those that it has now."""
    said = []
    for use in uses:
        if not use.is_recorded:
            continue
        try:
            now = book.named(use.name)
        except (NotFoundError, ModelError):
            said.append(f"There is no style {quoted(use.name)} here any more; its recorded text is used.")
            continue
        if (now.prompt, now.negative_prompt) != (use.prompt or "", use.negative_prompt or ""):
            said.append(f"The style {quoted(use.name)} was changed since; its recorded text is used.")
    return said


def extracted(styles: Sequence[Style], prompt: str, negative: str) -> tuple[tuple[StyleUse, ...], str, str]:
    """The styles that are found in finished prompts, in their order, and the prompts without them.

    Taken only if the styles make exactly these prompts again; otherwise none.
    """
    left = [style for style in styles if not style.unusable]
    bare = (prompt, negative)
    found: list[StyleUse] = []
    while len(found) < MAX_STYLES:
        for style in left:
            without = _without(style, *bare)
            if without is not None:
                break
        else:
            break
        left.remove(style)
        bare = without
        found.insert(0, StyleUse(name=style.name, prompt=style.prompt, negative_prompt=style.negative_prompt))
    again = (
        applied([use.prompt or "" for use in found], bare[0]),
        applied([use.negative_prompt or "" for use in found], bare[1]),
    )
    if not found or tuple(map(str.strip, again)) != (prompt.strip(), negative.strip()):
        return (), prompt, negative
    return tuple(found), *bare


def taken_out(texts: Sequence[str], prompt: str) -> str | None:
    """The prompt around which the styles' texts are; None if they do not make exactly this prompt again."""
    bare: str | None = prompt
    for text in reversed(texts):
        bare = _taken_out(text, bare or "")
        if bare is None:
            return None
    return bare if applied(texts, bare or "").strip() == prompt.strip() else None


def _without(style: Style, prompt: str, negative: str) -> tuple[str, str] | None:
    bare = _taken_out(style.prompt, prompt), _taken_out(style.negative_prompt, negative)
    return None if bare[0] is None or bare[1] is None else (bare[0], bare[1])


def _taken_out(text: str, prompt: str) -> str | None:
    """The prompt around which a style's text is; None if it is not there."""
    text, prompt = text.strip(), prompt.strip()
    if PLACE not in text:
        if not prompt.endswith(text):
            return None
        bare = prompt[: len(prompt) - len(text)]
        # A part of a longer word or phrase is not the style.
        if text and bare and not bare.endswith(", "):
            return None
        return bare.removesuffix(", ") if text else bare
    before, _, after = text.partition(PLACE)
    if PLACE in after or len(before) + len(after) > len(prompt):
        return None
    if not (prompt.startswith(before) and prompt.endswith(after)):
        return None
    return prompt[len(before) : len(prompt) - len(after)]
