// @ts-check
// The page's tabs, by the ids that ui/page.py gives them.
import { subscribe } from "./bus.js";

const tab = (id) =>
  /** @type {HTMLElement | null} */ (
    document.querySelector(`#tabs > .tab-wrapper button[role=tab][data-tab-id="${id}"]`)
  );

/** Id of the selected tab. */
export const selectedTab = () =>
  document.querySelector('#tabs > .tab-wrapper button[role=tab][aria-selected="true"]')?.dataset.tabId;

/** @param {"studio" | "queue" | "gallery" | "loras"} id */
export const openTab = (id) => tab(id)?.click();

/** Show the number of waiting and running jobs in the Queue tab and the window's title. */
export function countJobs() {
  subscribe("jobs", (state) => {
    const queue = tab("queue");
    if (!queue) return;
    const open = state.jobs.length;
    if (open) queue.dataset.count = state.paused ? `${open}, paused` : String(open);
    else delete queue.dataset.count;
    document.title = open ? `(${open}) WebbDuck` : "WebbDuck";
  });
}
