// @ts-check
// The toast: a temporary message, with an optional action such as Undo.
import { button, h, home, put } from "./dom.js";

const node = h("div", { class: "toast", role: "status", hidden: true, id: "toast" });
let fading;

function hide() {
  node.hidden = true;
}
/** Hide it once it was seen: one that a dialog covers waits until that is closed. */
function fade() {
  const dialog = [...document.querySelectorAll("dialog[open]")].at(-1);
  if (dialog && !dialog.contains(node)) fading = setTimeout(fade, 6000);
  else hide();
}

/**
 * Show a message.
 *
 * @param {string} text
 * @param {(() => any) | null} [action] of a button in the toast
 * @param {string} [label] of that button
 */
export function toast(text, action = null, label = "Undo") {
  put(
    node,
    h("span", {}, text),
    action
      ? button(label, () => {
          hide();
          action();
        })
      : null,
    button("×", hide, { class: "close", "aria-label": "Dismiss", title: "Dismiss" }),
  );
  // An open modal dialog would cover it, so it is shown inside the topmost one.
  const dialogs = [...document.querySelectorAll("dialog[open]")];
  const place = dialogs.at(-1) ?? home();
  if (node.parentNode !== place) place.append(node);
  node.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(fade, action ? 15000 : 6000);
}

/** Focus the toast's action button, if there is one. */
export const focusAction = () => node.querySelector("button:not(.close)")?.focus();

document.addEventListener(
  "close",
  (event) => {
    if (node.parentNode === event.target) home().append(node);
  },
  true,
);
