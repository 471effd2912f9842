// @ts-check
// The page's keyboard shortcuts, and the dialog that lists them.
import { h, isTyping, replaceText } from "./dom.js";
import { weighted } from "./prompt_weights.js";
import { openTab } from "./tabs.js";
import { isCovered } from "./widgets.js";

/** @type {[string, [string, string][]][]} */
const KEYS = [
  [
    "Studio",
    [
      ["Ctrl+Enter", "Generate"],
      ["Esc", "Cancel the job that is shown"],
      ["P", "Put the job that is shown aside, or let it go on"],
      ["Ctrl+↑ / Ctrl+↓", "Raise or lower the weight of the selected words"],
      ["Alt+↑ / Alt+↓", "Earlier or later prompt that was sent from this browser"],
      ["/", "Go to the prompt"],
      ["<lora:", "List the LoRAs; ↑, ↓ and Enter take one into the stack"],
      ["__", "List the wildcards"],
      ["↓, Tab", "While words are completed: mark an entry, take the marked or the first one"],
      ["← / →", "Previous or next picture of the batch, with the thumbnails in focus"],
      ["G", "The batch as a grid, or one picture again"],
      ["Arrows", "Go through the recent pictures (wide screens), with one in focus"],
      ["Ctrl+V", "Use a picture as input, or load copied settings"],
    ],
  ],
  [
    "Mask",
    [
      ["B, E, H", "Brush, erase, move"],
      ["[ and ]", "Brush size"],
      ["I, Delete", "Invert, clear"],
      ["Ctrl+Z, Ctrl+Y", "Undo, redo"],
      ["+, −, 0, 1", "Zoom in, out, fit, 100 %"],
      ["Arrows, Space", "Move the brush, paint"],
      ["Ctrl+Enter", "Use the mask"],
    ],
  ],
  [
    "Gallery",
    [
      ["Arrows", "Go through the pictures"],
      ["Enter", "Open the picture"],
      ["X", "Select the picture"],
      ["Ctrl+A, Esc", "Select all, select none"],
      ["Delete", "Move the selected pictures to the trash"],
      ["/", "Go to the search"],
    ],
  ],
  [
    "Open picture",
    [
      ["← / →", "Previous or next picture"],
      ["+, −, 0, 1", "Zoom in, out, fit, 100 %"],
      ["S, C, I, F", "Favourite, compare, details, full screen"],
      ["Delete", "Move to the trash"],
      ["Esc", "Close"],
    ],
  ],
  [
    "Queue",
    [
      ["↑ / ↓", "Go through the jobs"],
      ["Space", "Unfold the job"],
      ["Alt+↑ / Alt+↓", "Move the job"],
      ["X, Shift+X", "Select the job, or all up to it"],
      ["P", "Put the job aside, or let it go on"],
      ["Delete", "Cancel the job, or remove it from the list"],
    ],
  ],
  [
    "Everywhere",
    [
      ["Tab", "The next control"],
      ["↓, typing", "Open a list, find its entries"],
      ["Enter, Esc", "Choose the marked entry, close the list"],
      ["?", "This list"],
    ],
  ],
];
const sheet = h(
  "dialog",
  { class: "plain-dialog shortcuts", "aria-label": "Keyboard shortcuts" },
  h("h2", {}, "Keyboard shortcuts"),
  h(
    "div",
    { class: "shortcuts-columns" },
    KEYS.map(([title, rows]) =>
      h(
        "section",
        {},
        h("h3", {}, title),
        h(
          "dl",
          {},
          rows.flatMap(([keys, text]) => [h("dt", {}, h("kbd", {}, keys)), h("dd", {}, text)]),
        ),
      ),
    ),
  ),
  h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => sheet.close() }, "×"),
);
sheet.addEventListener("click", (event) => {
  if (event.target === sheet) sheet.close();
});
export const showShortcuts = () => {
  if (!sheet.isConnected) (document.querySelector(".gradio-container main") ?? document.body).append(sheet);
  if (!sheet.open) sheet.showModal();
};

/** Press a button of the page in place of the key, if it can be seen and used. */
function press(event, selector) {
  const button = document.querySelector(selector);
  if (!button?.offsetParent || button.hidden || button.disabled) return;
  event.preventDefault();
  button.click();
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey) return;
  const control = event.ctrlKey || event.metaKey;
  if (event.key === "Escape" && !isCovered()) {
    // What was put aside waits for long; its button alone cancels it.
    press(event, '.now:not([data-state="suspended"]) .cancel');
  }
  if (
    control &&
    ["ArrowUp", "ArrowDown"].includes(event.key) &&
    event.target.closest?.("#prompt, #negative, #prompt-2")
  ) {
    event.preventDefault();
    weigh(event.target, event.key === "ArrowUp" ? 0.1 : -0.1);
  }
  if (control || isTyping(event.target)) return;
  if (event.key === "?") {
    event.preventDefault();
    showShortcuts();
  }
  if (event.key.toLowerCase() === "p" && !isCovered()) {
    press(event, ".now .aside:not([hidden]), .now .continue:not([hidden])");
  }
  if (event.key === "/" && !isCovered()) {
    event.preventDefault();
    openTab("studio");
    document.querySelector("#prompt textarea")?.focus();
  }
});

document.addEventListener(
  "keydown",
  (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    if (document.querySelector("dialog[open]")) return;
    // Gradio processes "input" with a delay; wait for it, so that the last typed character is included.
    event.preventDefault();
    event.stopPropagation();
    setTimeout(() => document.querySelector("#generate")?.click(), 60);
  },
  true,
);

/** Change the weight of the words selected in a text area. */
function weigh(area, by) {
  const change = weighted(area.value, area.selectionStart, area.selectionEnd, by);
  if (!change) return;
  const { left, right, written, from, to } = change;
  replaceText(area, left, right, written);
  area.setSelectionRange(from, to);
}
