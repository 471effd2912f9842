// @ts-check
// Parts of the page that belong to no view: shortcuts, the phone's settings sheet, the Queue tab's count.
import * as form from "../studio/form.js";
import { startAddress } from "./address.js";
import { last, subscribe } from "./bus.js";
import "./mobile_sheet.js";
import { readNumber } from "./numbers.js";
import { keepScrollPlaces } from "./scroll_memory.js";
import "./shortcuts.js";
import { countJobs, openTab } from "./tabs.js";

export default function start() {
  countJobs();
  startAddress().then(keepScrollPlaces);
  // For the console, tests and benchmarks only.
  window.webbduck = { form, last, openTab, readNumber, subscribe };
}
