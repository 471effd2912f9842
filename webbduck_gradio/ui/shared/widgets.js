// @ts-check
// Small parts that several views use: a menu under a button, help for controls.
import { h, home, put } from "./dom.js";

/** A menu that belongs to a button: `fill(close)` answers what is in it each time that it opens. */
export function menu(anchor, label, fill) {
  const sheet = h("div", { class: "menu", popover: "auto", role: "group", "aria-label": label });
  anchor.setAttribute("aria-haspopup", "true");
  anchor.setAttribute("aria-expanded", "false");
  sheet.addEventListener("toggle", (event) => {
    anchor.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "closed" && sheet.contains(document.activeElement)) anchor.focus();
  });
  const close = () => sheet.hidePopover();
  async function open() {
    put(sheet, await fill(close));
    if (!sheet.isConnected) home().append(sheet);
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
    const all = [...sheet.querySelectorAll("button, input")];
    const next = all.indexOf(document.activeElement) + move;
    all[(next + all.length) % all.length]?.focus();
  });
  return { close, refill: async () => put(sheet, await fill(close)) };
}

// Help: a sentence for each control, read by screen readers, shown at its name and to who comes by Tab.
const tip = h("div", { class: "tip", role: "presentation", hidden: true });
const texts = h("div", { class: "unseen", id: "help-texts" });
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
/** Help for a control: a sentence at its name, and for screen readers at its input. */
export function describe(block, field, text) {
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

// What lies over the page when a key goes down: asked early, since the key itself may close it.
let over = false;
document.addEventListener(
  "keydown",
  () => {
    over = Boolean(document.querySelector("dialog[open], :popover-open, .options"));
  },
  true,
);

/** Whether something lay over the page when the last key went down. */
export const isCovered = () => over;
