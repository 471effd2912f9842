// @ts-check
// DOM helpers.

/**
 * Create an element: h("p", {class: "x", onclick: f}, "text", child). Strings become text nodes, never
 * markup.
 *
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...any} children
 * @returns {any} the element; `any`, since its kind follows from `tag`
 */
export function h(tag, attributes = {}, ...children) {
  /** @type {any} */
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}

/**
 * Make these the children of `node`; null children are skipped. Those that are there already stay where they
 * are, so that they keep the focus and what is being typed.
 */
export function put(node, ...children) {
  const wanted = children.flat().filter((child) => child !== null && child !== undefined);
  if (!wanted.some((child) => child.parentNode === node)) return node.replaceChildren(...wanted);
  const kept = new Set(wanted);
  for (const child of [...node.childNodes]) if (!kept.has(child)) child.remove();
  let next = node.firstChild;
  for (const child of wanted) {
    if (child === next) next = next.nextSibling;
    else node.insertBefore(typeof child === "object" ? child : document.createTextNode(child), next);
  }
}

/** Set a node's text if it differs, so that a redraw keeps the user's text selection. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

export const button = (text, onclick, attributes = {}) =>
  h("button", { type: "button", onclick, ...attributes }, text);

/** The parent of dialogs and toasts: outside the tabs, but within the scope of Gradio's style sheet. */
export const home = () => document.querySelector(".gradio-container main") ?? document.body;

/** Whether a node takes text input, so that keys pressed in it are not shortcuts. */
export const isTyping = (node) =>
  node?.matches?.(
    "textarea, [contenteditable=true], " +
      "input:not([type=checkbox], [type=radio], [type=range], [type=button])",
  );

/** Replace a part of a text area's content, in such a way that the browser's undo includes it. */
export function replaceText(area, from, to, text) {
  area.setSelectionRange(from, to);
  if (document.execCommand(text ? "insertText" : "delete", false, text)) return;
  area.setRangeText(text, from, to, "end");
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Matches in a small window, where the settings are in a sheet over the picture (layouts.py). */
export const phone = window.matchMedia(webbduckFacts.layouts.sheet);

/** Matches where nothing can be hovered over. */
export const touch = window.matchMedia(webbduckFacts.layouts.touch);

/** @type {Map<string, AbortController>} */
const running = new Map();

/**
 * A signal for the listeners that a view adds outside its own element. It is aborted when the view starts
 * again, since Gradio may mount a component more than once.
 *
 * @param {string} view
 */
export function listenerSignal(view) {
  running.get(view)?.abort();
  const controller = new AbortController();
  running.set(view, controller);
  return controller.signal;
}
