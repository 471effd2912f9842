// @ts-check
// Keys of the whole page, the sheet that lists them, and weights of words.
import { h, isTyping } from "./dom.js";
import { openTab } from "./tabs.js";
import { isCovered } from "./widgets.js";

/** @type {[string, [string, string][]][]} */
const KEYS = [
  [
    "Studio",
    [
      ["Ctrl+Enter", "Generate"],
      ["Esc", "Cancel the job that is shown"],
      ["Ctrl+↑ / Ctrl+↓", "Weigh the selected words more or less"],
      ["/", "Go to the prompt"],
      ["← / →", "The batch's other pictures, with the strip in focus"],
      ["Ctrl+V", "Take a picture as input, or a text of settings in the prompt"],
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
    "Everywhere",
    [
      ["Tab", "The next control"],
      ["?", "This list"],
    ],
  ],
];
const sheet = h(
  "dialog",
  { class: "keys-sheet", "aria-label": "Keys" },
  h("h2", {}, "Keys"),
  h(
    "div",
    { class: "keys-columns" },
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

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey) return;
  const control = event.ctrlKey || event.metaKey;
  if (event.key === "Escape" && !isCovered()) {
    const cancel = document.querySelector(".now .cancel");
    if (cancel?.offsetParent && !cancel.hidden && !cancel.disabled) {
      event.preventDefault();
      cancel.click();
    }
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
    // Gradio takes the text over on "input"; a press right after typing must not miss the last letter.
    event.preventDefault();
    event.stopPropagation();
    setTimeout(() => document.querySelector("#generate")?.click(), 60);
  },
  true,
);

/** (words:1.1), (words:1.2) ... around the selection, its bracket, or the word at the caret. */
function weigh(area, by) {
  const text = area.value;
  let [from, to] = [area.selectionStart, area.selectionEnd];
  const group = around(text, from, to);
  let weight = 1;
  let left;
  let right;
  if (group) {
    ({ from, to, weight, left, right } = group);
  } else {
    if (from === to) {
      while (from > 0 && /[^\s,()[\]:]/.test(text[from - 1])) from -= 1;
      while (to < text.length && /[^\s,()[\]:]/.test(text[to])) to += 1;
    }
    while (from < to && /\s/.test(text[from])) from += 1;
    while (to > from && /\s/.test(text[to - 1])) to -= 1;
    if (from === to) return;
    [left, right] = [from, to];
  }
  const words = text.slice(from, to);
  const next = Math.round((weight + by) * 100) / 100;
  const written = next === 1 ? words : `(${words}:${next})`;
  area.setSelectionRange(left, right);
  // The one way that the browser's own undo knows of.
  if (!document.execCommand("insertText", false, written)) {
    area.setRangeText(written, left, right, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
  const start = left + (next === 1 ? 0 : 1);
  area.setSelectionRange(start, start + words.length);
}
/** The weighted bracket that the selection lies in: its words, its weight, its ends. */
function around(text, start, end) {
  for (const found of text.matchAll(/\(([^()]*?):\s*([+-]?[\d.]+)\s*\)/g)) {
    const left = found.index;
    const right = left + found[0].length;
    if (left <= start && end <= right) {
      return { from: left + 1, to: left + 1 + found[1].length, weight: Number(found[2]) || 0, left, right };
    }
  }
  return null;
}
