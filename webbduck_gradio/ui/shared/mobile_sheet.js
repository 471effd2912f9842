// @ts-check
// On a phone the picture fills the screen; the settings are in a sheet that slides up over it.
import * as form from "../studio/form.js";
import { openLayer } from "./address.js";
import { subscribe } from "./bus.js";
import { phone } from "./dom.js";
import { modeText, summaryOf } from "./settings.js";
import { isCovered } from "./widgets.js";

const controls = () => document.querySelector("#controls");
const isOpen = () => Boolean(phone.matches && controls()?.classList.contains("open"));

// Shrink the page for the on-screen keyboard instead of covering the prompt and Generate.
const meta = document.querySelector("meta[name=viewport]");
if (meta && !meta.content.includes("interactive-widget")) {
  meta.content += ", interactive-widget=resizes-content";
}

/** Its place in the browser's history while it is open.
 * @type {ReturnType<typeof openLayer> | null} */
let layer = null;

export function openSheet(yes = true) {
  const column = controls();
  const head = column?.querySelector(".sheet-head");
  if (!head || (yes && !phone.matches)) return;
  column.classList.toggle("open", yes);
  head.setAttribute("aria-expanded", String(yes));
  head.querySelector(".sheet-action").textContent = yes ? "Done" : "Settings";
  for (const behind of document.querySelectorAll("#picture, #brand, #tabs > .tab-wrapper")) {
    behind.inert = yes;
  }
  if (yes) column.querySelector("#settings").scrollTop = 0;
  if (yes) layer ??= openLayer(() => openSheet(false));
  else {
    layer?.closed();
    layer = null;
  }
  showSummary();
}

/** The closed sheet shows a one-line summary of the settings. */
function showSummary() {
  const state = form.state();
  const node = controls()?.querySelector(".sheet-summary");
  if (!state || !node) return;
  let count = 0;
  try {
    count = JSON.parse(state.loras || "[]").filter((each) => each.on !== false).length;
  } catch {
    /* the stack shows the error */
  }
  const shown = { ...state, loras: count ? `${count} LoRA${count > 1 ? "s" : ""}` : "" };
  const parts = summaryOf("sheet", shown, form.conditions());
  const mode = modeText(state);
  if (mode) parts.unshift(mode);
  node.textContent = isOpen() ? "Settings" : parts.join(", ");
  controls().classList.toggle("wrong", Boolean(document.querySelector("#settings [data-problem]")));
}
subscribe("form", showSummary);

document.addEventListener("click", (event) => {
  if (event.target.closest?.(".sheet-head")) openSheet(!isOpen());
});
window.webbduckPressedEarly.end(".sheet-head");
document.addEventListener(
  "pointerdown",
  (event) => {
    if (isOpen() && !event.target.closest?.("#controls, dialog, [popover], .toast")) {
      event.preventDefault();
      openSheet(false);
    }
  },
  true,
);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !isOpen() || isCovered()) return;
  event.preventDefault();
  openSheet(false);
  controls().querySelector(".sheet-head").focus();
});
phone.addEventListener("change", () => openSheet(false));
// A submitted job shows in the viewer behind the sheet, so close it.
subscribe("outcome", (value) => {
  if (value.job_id && isOpen()) openSheet(false);
});

form.onReveal(() => openSheet());
