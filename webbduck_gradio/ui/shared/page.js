// @ts-check
// Parts of the page that belong to no view: shortcuts, the phone's settings sheet, the Queue tab's count.
import * as form from "../studio/form.js";
import "../studio/outage.js";
import { startAddress } from "./address.js";
import { last, subscribe } from "./bus.js";
import "./mobile_sheet.js";
import { readNumber } from "./numbers.js";
import { keepScrollPlaces } from "./scroll_memory.js";
import "./shortcuts.js";
import { countJobs, openTab } from "./tabs.js";

/** Load the tabs' views before they are opened, so that they can be when the server does not answer. */
function loadTabs() {
  let done = false;
  subscribe("form", () => {
    if (done) return;
    done = true;
    const load = () => {
      for (const view of ["gallery/gallery.js", "queue/queue.js", "loras/loras.js"]) {
        webbduckModule(view).catch(() => {}); // it is loaded again when its tab is opened
      }
    };
    (window.requestIdleCallback ?? setTimeout)(load);
  });
}

export default function start() {
  countJobs();
  loadTabs();
  startAddress().then(keepScrollPlaces);
  // For the console, tests and benchmarks only.
  window.webbduck = { form, last, openTab, readNumber, subscribe };
}
