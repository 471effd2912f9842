// @ts-check
// What the page has beside its views: shortcuts, the mobile sheet, the Queue tab's count.
import * as form from "../studio/form.js";
import { last, subscribe } from "./bus.js";
import "./mobile_sheet.js";
import { readNumber } from "./numbers.js";
import "./shortcuts.js";
import { countJobs, openTab } from "./tabs.js";

export default function start() {
  countJobs();
  // For the console, tests and measurements; the page's own scripts import what they need.
  window.webbduck = { form, last, openTab, readNumber, subscribe };
}
