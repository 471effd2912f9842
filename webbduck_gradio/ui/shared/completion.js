// @ts-check
// Completion in a text area: a list beside it of what the word before the caret can become.
import { h, home, listenerSignal, put, replaceText } from "./dom.js";
import { nameWithOrigin } from "./origins.js";

/**
 * An entry of the list. `why`: the reason why it cannot be taken, which is shown in place of `detail`.
 * `category`: of a tag, which has its own colour. `origin`: of a model, with which its label begins.
 *
 * @typedef {{
 *   kind?: string, label: string, detail?: string, picture?: string, why?: string | null, category?: string,
 *   origin?: string,
 * }} Option
 *
 * What was found at the caret. `from`, `to`: the part of the text that is replaced. `opened`: whether it was
 * asked for, so that the first entry is marked; else Enter goes on to mean a new line.
 *
 * @typedef {{title: string, from: number, to: number, options: Option[], opened: boolean}} Found
 *
 * `take` returns the text in place of what was typed, or null to leave it as it is.
 *
 * @typedef {{
 *   find: (text: string, caret: number, area: HTMLTextAreaElement) => Found | null,
 *   take: (option: any, area: HTMLTextAreaElement) => string | null,
 * }} Source
 */

const MOST = 30;
const NONE = -1;

/**
 * Complete in the text areas that match `selector`.
 *
 * Arrow keys go through the list, Tab takes the marked entry or the first, Enter the marked one, Esc closes
 * the list until something is typed.
 *
 * @param {string} selector
 * @param {Source} source
 */
export function completeIn(selector, source) {
  const list = h("ul", {
    class: "completions",
    id: "completions",
    role: "listbox",
    hidden: true,
    // The text area keeps the focus.
    onpointerdown: (event) => event.preventDefault(),
  });
  const said = h("span", { class: "visually-hidden", role: "status" });
  /** @type {HTMLTextAreaElement | null} */
  let area = null;
  /** @type {(Found & {caret: number}) | null} */
  let shown = null;
  let at = NONE;
  let isTaking = false;
  // What grows or shrinks above the text area moves it without a scroll.
  const around = new ResizeObserver(() => shown && place());

  const usable = (option) => !option.why;

  function close() {
    list.hidden = true;
    said.textContent = "";
    shown = null;
    around.disconnect();
    for (const name of ["aria-controls", "aria-activedescendant", "aria-autocomplete"]) {
      area?.removeAttribute(name);
    }
    area = null;
  }

  /** @param {HTMLTextAreaElement} box */
  function open(box) {
    const caret = box.selectionStart;
    const found = caret === box.selectionEnd ? source.find(box.value, caret, box) : null;
    if (!found?.options.length) return close();
    if (area !== box) {
      close();
      /** @type {Element | null} */
      let each = box;
      for (; each; each = each.parentElement) around.observe(each);
    }
    area = box;
    const left = found.options.length - MOST;
    const more = left > 0 ? [{ label: `${left} more`, why: "Type more of the name." }] : [];
    shown = { ...found, caret, options: [...found.options.slice(0, MOST), ...more] };
    at = found.opened ? shown.options.findIndex(usable) : NONE;
    // What lies outside of an open dialog cannot be used.
    const parent = box.closest("dialog") ?? home();
    if (list.parentNode !== parent) parent.append(list, said);
    list.setAttribute("aria-label", found.title);
    put(list, shown.options.map(entry));
    list.hidden = false;
    list.scrollTop = 0;
    place();
    mark();
    said.textContent = `${found.title}: ${found.options.length}`;
    area.setAttribute("aria-autocomplete", "list");
    area.setAttribute("aria-controls", list.id);
  }

  function entry(option, index) {
    return h(
      "li",
      {
        role: "option",
        id: `completion-${index}`,
        class: option.picture === undefined ? "plain" : null,
        "data-category": option.category,
        "aria-disabled": String(!usable(option)),
        onclick: () => take(index),
      },
      option.picture === undefined ? null : picture(option.picture),
      h("span", { class: "label" }, nameWithOrigin({ name: option.label, origin: option.origin })),
      h("small", {}, option.why ?? option.detail ?? ""),
    );
  }

  const picture = (address) =>
    h("img", {
      src: address,
      alt: "",
      loading: "lazy",
      onerror: (event) => event.target.replaceWith(h("span", { class: "no-picture" })),
    });

  /** Below the text area, or above it where there is more room; never behind an on-screen keyboard. */
  function place() {
    const box = area.getBoundingClientRect();
    const top = window.visualViewport?.offsetTop ?? 0;
    const bottom = top + (window.visualViewport?.height ?? innerHeight);
    const below = bottom - box.bottom - 12;
    const above = box.top - top - 12;
    const isBelow = below >= Math.min(200, list.scrollHeight) || below >= above;
    list.style.maxHeight = `${Math.max(48, Math.min(320, isBelow ? below : above))}px`;
    list.style.left = `${box.left}px`;
    list.style.width = `${box.width}px`;
    list.style.top = isBelow ? `${box.bottom + 4}px` : `${box.top - list.offsetHeight - 4}px`;
  }

  function mark() {
    for (const [index, node] of [...list.children].entries()) {
      node.setAttribute("aria-selected", String(index === at && usable(shown.options[index])));
    }
    if (at === NONE) return area.removeAttribute("aria-activedescendant");
    area.setAttribute("aria-activedescendant", `completion-${at}`);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }

  function move(by) {
    const { options } = shown;
    if (!options.some(usable)) return;
    if (at === NONE && by < 0) at = 0;
    do at = (at + by + options.length) % options.length;
    while (!usable(options[at]));
    mark();
  }

  function take(index) {
    const { from, to, options } = shown;
    if (!options[index] || !usable(options[index])) return;
    const box = area;
    const text = source.take(options[index], box);
    close();
    box.focus();
    if (text === null) return;
    isTaking = true;
    replaceText(box, from, to, text);
    isTaking = false;
  }

  /** The entry that a key would take. */
  const meant = (key) => (at === NONE && key === "Tab" ? shown.options.findIndex(usable) : at);

  const signal = listenerSignal(`completion ${selector}`);
  const keys = {
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => take(meant("Enter")),
    Tab: () => take(meant("Tab")),
    Escape: close,
  };
  document.addEventListener(
    "input",
    (event) => {
      const box = /** @type {any} */ (event.target);
      // What a script writes does not ask for completion.
      if (isTaking || !(event instanceof InputEvent)) return;
      if (box.matches?.(selector) && document.activeElement === box) open(box);
    },
    { signal },
  );
  // Before the page's shortcuts: Esc cancels a job, for instance.
  document.addEventListener(
    "keydown",
    (event) => {
      if (!shown || event.target !== area || event.isComposing) return;
      if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const action = keys[event.key];
      const option = shown.options[meant(event.key)];
      if (!action || (["Enter", "Tab"].includes(event.key) && !(option && usable(option)))) return;
      event.preventDefault();
      event.stopPropagation();
      action();
    },
    { signal, capture: true },
  );
  document.addEventListener(
    "selectionchange",
    () => {
      if (shown && (document.activeElement !== area || area.selectionStart !== shown.caret)) close();
    },
    { signal },
  );
  document.addEventListener("focusout", (event) => event.target === area && close(), { signal });
  const follow = (event) => shown && event.target !== list && place();
  window.addEventListener("resize", follow, { signal });
  document.addEventListener("scroll", follow, { signal, capture: true });
  for (const event of ["resize", "scroll"]) {
    window.visualViewport?.addEventListener(event, follow, { signal });
  }
}
