"""What keeps people from using the page, as far as it can be measured."""

from __future__ import annotations

from collections.abc import Sequence

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

LEAST_CONTRAST = 3.0
"""Of what bounds a control, by WCAG 2.2, 1.4.11."""

FAINT = """least => {
    const channels = (colour) => colour.match(/[0-9.]+/g).map(Number);
    const light = (colour) => {
        const [red, green, blue] = channels(colour).slice(0, 3).map((value) => {
            const share = value / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const isClear = (colour) => colour === 'transparent' || (channels(colour)[3] ?? 1) === 0;
    const ground = (node) => {
        const own = getComputedStyle(node).backgroundColor;
        return isClear(own) && node.parentElement ? ground(node.parentElement) : own;
    };
    const isBare = (style) => style.borderTopStyle === 'none' || style.borderTopWidth === '0px';
    const found = [];
    for (const field of document.querySelectorAll('input, textarea')) {
        if (!field.checkVisibility() || ['range', 'file'].includes(field.type)) continue;
        const isSegment = getComputedStyle(field).opacity === '0';
        const bound = isSegment ? null : field;
        if (!bound || field.closest('.g-filter') || field.matches(':checked, :disabled, :focus')) continue;
        const edge = getComputedStyle(bound).borderTopColor;
        const [high, low] = [light(edge), light(ground(bound.parentElement))].sort((a, b) => b - a);
        const contrast = (high + 0.05) / (low + 0.05);
        if (!(contrast >= least)) found.push(`${contrast.toFixed(2)}: ${bound.outerHTML.slice(0, 120)}`);
    }
    return found;
}"""


RUN = """async ([rules, part]) => {
    const options = { resultTypes: ['violations'] };
    if (rules.length) options.runOnly = { type: 'rule', values: rules };
    const { violations } = await axe.run(part || document, options);
    return violations.map(({ id, impact, nodes }) => ({ id, impact, html: nodes[0].html }));
}"""


def violations(page: Page, where: str, rules: Sequence[str] = (), part: str = "") -> list[str]:
    """What axe finds on the page that is more than minor, by these rules or, without any, by all; `where`
    begins each line. `part`: a selector of the only part to look at."""
    if not page.evaluate("'axe' in window"):  # half a megabyte, once for each load of the page
        page.evaluate(Axe().axe_script)
    return [
        f"{where}: {each['id']} ({each['impact']}) at {each['html'][:160]}"
        for each in page.evaluate(RUN, [list(rules), part])
        if each["impact"] != "minor"
    ]


def faint_borders(page: Page) -> list[str]:
    """Fields and check boxes in sight whose border is too faint against what they lie on."""
    return page.evaluate(FAINT, LEAST_CONTRAST)
