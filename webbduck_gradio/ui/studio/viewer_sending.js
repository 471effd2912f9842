// @ts-check
// The time between a press of Generate and the first word of its job, which the page learns from the server.
import { subscribe } from "../shared/bus.js";
import { listenerSignal } from "../shared/dom.js";

/** An answer that does not come is given up; what the connection does is said elsewhere. */
const PATIENCE_MS = 20_000;

/** `changed()` is called when a press begins or ends to be waited for. */
export function makeSending(changed) {
  let isSending = false;
  let sent = null;
  let timer = 0;
  let seen = 0;

  function set(value) {
    clearTimeout(timer);
    sent = null;
    if (value) timer = window.setTimeout(() => set(false), PATIENCE_MS);
    if (isSending === value) return;
    isSending = value;
    changed();
  }

  document.addEventListener(
    "click",
    (event) => {
      const pressed = event.target.closest?.("#generate, #test");
      if (pressed && !pressed.disabled) set(true);
    },
    { signal: listenerSignal("viewer_sending") },
  );
  subscribe("outcome", (value) => {
    if (!isSending || value.at === seen) return;
    seen = value.at;
    if (value.job_id) sent = value.job_id;
    else if (value.error) set(false);
  });

  /** Whether a press is still waited for, given the jobs that are known. */
  return (jobs) => {
    if (isSending && sent && jobs.some((job) => job.job_id === sent)) {
      clearTimeout(timer);
      isSending = false;
    }
    return isSending;
  };
}
