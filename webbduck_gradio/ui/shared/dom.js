// @ts-check
// Elements without markup, and what of the page every view needs.

/**
 * An element: h("p", {class: "x", onclick: f}, "text", child). Text stays text, never markup.
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

/** Put these in place of what `node` holds; null stands for nothing. */
export function put(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

/** Set a text where it differs, so that a redraw keeps a selection. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** A button with a text; `attributes` may say more. */
export const button = (text, onclick, attributes = {}) =>
  h("button", { type: "button", onclick, ...attributes }, text);

/** Where dialogs and messages go: outside of the tabs, inside of what Gradio's style sheet covers. */
export const home = () => document.querySelector(".gradio-container main") ?? document.body;

/** Whether keys pressed here are typed into something. */
export const isTyping = (node) =>
  node?.matches?.(
    "textarea, select, [contenteditable=true], " +
      "input:not([type=checkbox], [type=radio], [type=range], [type=button])",
  );

/** Matches on a narrow screen, where the settings lie in a sheet over the picture. */
export const phone = window.matchMedia("(max-width: 820px)");
