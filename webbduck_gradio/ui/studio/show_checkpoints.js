// @ts-check
// The way from the Studio to the cards of the checkpoints.
import { publish } from "../shared/bus.js";
import { openSheet } from "../shared/mobile_sheet.js";
import { openTab } from "../shared/tabs.js";

/** Show the checkpoints' cards, from the settings' sheet of a phone as well. */
export function showCheckpoints() {
  openSheet(false);
  openTab("loras");
  publish("models", "checkpoints");
}
