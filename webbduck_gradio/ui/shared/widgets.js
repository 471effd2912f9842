// @ts-check
// Menus and tooltips.
import { h, home, put } from "./dom.js";

/** A menu that a button opens; `fill(close)` returns its content, or a promise of it, each time it opens. */
export function menu(anchor, label, fill) {
  const sheet = h("div", { class: "menu", popover: "auto", role: "group", "aria-label": label });
  anchor.setAttribute("aria-haspopup", "true");
  anchor.setAttribute("aria-expanded", "false");
  sheet.addEventListener("toggle", (event) => {
    anchor.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState !== "closed" || !sheet.contains(document.activeElement)) return;
    // A tool that is in the toolbar's More menu cannot take the focus; the menu's button can.
    const isShown = anchor.checkVisibility();
    (isShown ? anchor : anchor.closest("[role=toolbar]")?.querySelector(".more"))?.focus();
  });
  const close = () => sheet.hidePopover();
  async function open() {
    put(sheet, await fill(close));
    // What lies outside of an open dialog cannot be used.
    (anchor.closest("dialog") ?? home()).append(sheet);
    sheet.showPopover();
    const box = anchor.getBoundingClientRect();
    const width = sheet.offsetWidth;
    const height = sheet.offsetHeight;
    sheet.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
    const isAbove = box.bottom + height + 8 > innerHeight && box.top > height + 8;
    const below = Math.max(8, Math.min(box.bottom + 4, innerHeight - height - 8));
    sheet.style.top = `${isAbove ? box.top - height - 4 : below}px`;
    sheet.querySelector("input, button")?.focus();
  }
  anchor.addEventListener("click", () => {
    if (sheet.matches(":popover-open")) close();
    else open();
  });
  sheet.addEventListener("keydown", (event) => {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const all = [...sheet.querySelectorAll("button:enabled, input:enabled")];
    const next = all.indexOf(document.activeElement) + move;
    all[(next + all.length) % all.length]?.focus();
  });
  return { close, refill: async () => put(sheet, await fill(close)) };
}

// Tooltips of controls: shown when hovering over the label and on focus by Tab, and read by screen readers.
const tip = h("div", { class: "tip", role: "presentation", hidden: true });
const texts = h("div", { class: "visually-hidden", id: "help-texts" });
let waiting = null;
let byKey = false;
const hide = () => {
  clearTimeout(waiting);
  tip.hidden = true;
};
function show(node, text, delay) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    if (!node.isConnected) return;
    tip.textContent = text;
    if (tip.parentNode !== home()) home().append(tip);
    tip.hidden = false;
    const box = node.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8))}px`;
    const isAbove = box.bottom + tip.offsetHeight + 8 > innerHeight;
    tip.style.top = `${isAbove ? box.top - tip.offsetHeight - 6 : box.bottom + 6}px`;
  }, delay);
}
/** Add a tooltip to a control. */
export function addTooltip(block, field, text) {
  if (!block || document.getElementById(`help-${field}`)) return;
  if (!texts.isConnected) home().append(texts);
  texts.append(h("span", { id: `help-${field}` }, text));
  const name = block.querySelector("[data-testid=block-info]");
  for (const input of block.querySelectorAll("input, textarea")) {
    if (input.classList.contains("range")) continue;
    input.setAttribute("aria-describedby", `help-${field}`);
    input.addEventListener("focus", () => {
      if (byKey) show(block, text, 900);
    });
    input.addEventListener("blur", hide);
  }
  if (!name) return;
  name.classList.add("helped");
  name.addEventListener("mouseenter", () => show(name, text, 350));
  name.addEventListener("mouseleave", hide);
  name.addEventListener("click", () => show(name, text, 0));
}
document.addEventListener(
  "keydown",
  (event) => {
    byKey = event.key === "Tab";
    hide();
  },
  true,
);
document.addEventListener(
  "pointerdown",
  () => {
    byKey = false;
    hide();
  },
  true,
);
document.addEventListener("scroll", hide, true);

// Checked in the capture phase, since handlers of the key may close the overlay.
let covered = false;
document.addEventListener(
  "keydown",
  () => {
    covered = Boolean(document.querySelector("dialog[open], :popover-open"));
  },
  true,
);

/** Whether a dialog, menu or list was open when the last key was pressed. */
export const isCovered = () => covered;
