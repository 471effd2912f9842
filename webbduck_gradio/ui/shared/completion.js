// @ts-check
// Completion in a text area: a list below it, from whatever sources know the text before the caret.
import { h, home, listenerSignal, put, replaceText } from "./dom.js";

/**
 * An entry of the list. `why`: the reason why it cannot be taken, which is shown in place of `detail`.
 *
 * @typedef {{label: string, detail?: string, picture?: string, why?: string | null}} Option
 */

/**
 * Knows one kind of word. `find` returns where in the text before the caret the part begins that would be
 * replaced, and what was typed of it, or null where there is none. `take` returns the text in its place, or
 * null to leave it as it is.
 *
 * @typedef {{
 *   title: string,
 *   find: (before: string) => {from: number, typed: string} | null,
 *   options: (typed: string) => Option[],
 *   take: (option: any) => string | null,
 * }} Source
 */

const MOST = 30;

/**
 * Complete in the text areas that match `selector`.
 *
 * Arrow keys go through the list, Enter and Tab take an entry, Esc closes the list until something is typed.
 *
 * @param {string} selector
 * @param {Source[]} sources the first that finds something is asked
 */
export function completeIn(selector, sources) {
  const list = h("ul", { class: "completions", id: "completions", role: "listbox", hidden: true });
  const said = h("span", { class: "visually-hidden", role: "status" });
  /** @type {HTMLTextAreaElement | null} */
  let area = null;
  /** @type {{source: Source, from: number, to: number, options: Option[]} | null} */
  let shown = null;
  let at = 0;

  const usable = (option) => !option.why;

  function close() {
    list.hidden = true;
    said.textContent = "";
    shown = null;
    for (const name of ["aria-controls", "aria-activedescendant", "aria-autocomplete"]) {
      area?.removeAttribute(name);
    }
    area = null;
  }

  function find(text, caret) {
    for (const source of sources) {
      const found = source.find(text.slice(0, caret));
      if (found) return { source, from: found.from, to: caret, options: source.options(found.typed) };
    }
    return null;
  }

  /** @param {HTMLTextAreaElement} box */
  function open(box) {
    const found = box.selectionStart === box.selectionEnd ? find(box.value, box.selectionStart) : null;
    if (!found?.options.length) return close();
    area = box;
    const left = found.options.length - MOST;
    const more = left > 0 ? [{ label: `${left} more`, why: "Type more of the name." }] : [];
    shown = { ...found, options: [...found.options.slice(0, MOST), ...more] };
    at = Math.max(0, shown.options.findIndex(usable));
    if (!list.isConnected) home().append(list, said);
    list.setAttribute("aria-label", shown.source.title);
    put(list, shown.options.map(entry));
    list.hidden = false;
    place();
    mark();
    said.textContent = `${shown.source.title}: ${found.options.length}`;
    area.setAttribute("aria-autocomplete", "list");
    area.setAttribute("aria-controls", list.id);
  }

  function entry(option, index) {
    return h(
      "li",
      {
        role: "option",
        id: `completion-${index}`,
        "aria-disabled": String(!usable(option)),
        // The text area keeps the focus.
        onpointerdown: (event) => event.preventDefault(),
        onclick: () => take(index),
      },
      option.picture
        ? h("img", {
            src: option.picture,
            alt: "",
            loading: "lazy",
            onerror: (event) => event.target.replaceWith(h("span", { class: "no-picture" })),
          })
        : h("span", { class: "no-picture" }),
      h("span", { class: "label" }, option.label),
      h("small", {}, option.why ?? option.detail ?? ""),
    );
  }

  /** Below the text area, or above it where there is more room. */
  function place() {
    const box = area.getBoundingClientRect();
    const view = window.visualViewport?.height ?? innerHeight;
    const below = view - box.bottom - 12;
    const isBelow = below >= Math.min(200, list.scrollHeight) || below >= box.top - 12;
    list.style.maxHeight = `${Math.min(320, isBelow ? below : box.top - 12)}px`;
    list.style.left = `${box.left}px`;
    list.style.width = `${box.width}px`;
    list.style.top = isBelow ? `${box.bottom + 4}px` : `${box.top - list.offsetHeight - 4}px`;
  }

  function mark() {
    for (const [index, node] of [...list.children].entries()) {
      node.setAttribute("aria-selected", String(index === at && usable(shown.options[index])));
    }
    area.setAttribute("aria-activedescendant", `completion-${at}`);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  }

  function move(by) {
    const { options } = shown;
    if (!options.some(usable)) return;
    do at = (at + by + options.length) % options.length;
    while (!usable(options[at]));
    mark();
  }

  function take(index) {
    const { source, from, to, options } = shown;
    if (!options[index] || !usable(options[index])) return;
    const box = area;
    const text = source.take(options[index]);
    close();
    if (text !== null) replaceText(box, from, to, text);
    box.focus();
  }

  const signal = listenerSignal(`completion ${selector}`);
  const keys = {
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => take(at),
    Tab: () => take(at),
    Escape: close,
  };
  document.addEventListener(
    "input",
    (event) => {
      const box = /** @type {any} */ (event.target);
      // What a script writes does not ask for completion.
      if (box.matches?.(selector) && event instanceof InputEvent && document.activeElement === box) open(box);
    },
    { signal },
  );
  // Before the page's shortcuts: Esc cancels a job, for instance.
  document.addEventListener(
    "keydown",
    (event) => {
      if (!shown || event.target !== area) return;
      if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const action = keys[event.key];
      if (!action || (["Enter", "Tab"].includes(event.key) && !usable(shown.options[at]))) return;
      event.preventDefault();
      event.stopPropagation();
      action();
    },
    { signal, capture: true },
  );
  document.addEventListener(
    "selectionchange",
    () => {
      if (shown && (document.activeElement !== area || area.selectionStart !== shown.to)) close();
    },
    { signal },
  );
  document.addEventListener("focusout", (event) => event.target === area && close(), { signal });
  window.addEventListener("resize", () => shown && place(), { signal });
}
