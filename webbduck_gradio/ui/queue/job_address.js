// @ts-check
// The unfolded job in the page's address, and the job that an address names.
import { address, setAddress } from "../shared/address.js";
import { subscribe } from "../shared/bus.js";
import { toast } from "../shared/toast.js";

/**
 * `find(id)` is the row of a job that is listed. Returns a function to be called when the list was drawn.
 *
 * @param {HTMLElement} element
 * @param {(id: string) => any} find
 */
export function followJobs(element, find) {
  let wanted = "";
  let isDrawn = false;
  element.addEventListener(
    "toggle",
    (event) => {
      const details = /** @type {any} */ (event.target);
      const id = details.closest?.(".job")?.dataset.id;
      if (!id || !details.matches("details")) return;
      if (details.open) setAddress({ job: id });
      else if (address().job === id) setAddress({ job: "" });
    },
    true,
  );
  function show() {
    if (!wanted) return;
    const entry = find(wanted);
    wanted = "";
    if (!entry) {
      toast("The job of this address is no longer in the queue's list.");
      return setAddress({ job: "" });
    }
    entry.details.open = true;
    entry.row.scrollIntoView({ block: "center" });
    entry.row.querySelector("summary").focus({ preventScroll: true });
  }
  subscribe("address", (place) => {
    wanted = place.job;
    if (isDrawn && element.offsetParent) show();
  });
  return () => {
    isDrawn = true;
    show();
  };
}
