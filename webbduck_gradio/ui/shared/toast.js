// @ts-check
// The message that passes: what was done, and for a while the way back.
import { button, h, home, put } from "./dom.js";
import { selectedTab } from "./tabs.js";

const node = h("div", { class: "toast", role: "status", hidden: true, id: "toast" });
let fading;

function hide() {
  node.hidden = true;
}

/**
 * Say that something was done.
 *
 * @param {string} text
 * @param {(() => any) | null} [action] offered for a while
 * @param {string} [label] of the action
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
  // What is open over the page would cover it.
  const dialogs = [...document.querySelectorAll("dialog[open]")];
  const place = dialogs.at(-1) ?? home();
  // Each tab has a place where the toast covers nothing that is worked with.
  node.dataset.tab = dialogs.length ? "" : (selectedTab() ?? "");
  if (node.parentNode !== place) place.append(node);
  node.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(hide, action ? 15000 : 6000);
}

/** Put the keyboard on the toast's action, where there is one. */
export const focusAction = () => node.querySelector("button:not(.close)")?.focus();

document.addEventListener(
  "close",
  (event) => {
    if (node.parentNode === event.target) home().append(node);
  },
  true,
);
