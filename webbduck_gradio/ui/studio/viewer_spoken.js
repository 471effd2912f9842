// @ts-check
// What a screen reader says of the job in the viewer: its start, its progress now and then, its end.
import { setText } from "../shared/dom.js";

const PAUSE_MS = 10_000;

/**
 * Returns the function that is called with each change of the job; `node` is a live region. The progress is
 * said at each quarter of the job, and not sooner than `PAUSE_MS` after what was said before.
 */
export function makeSpoken(node) {
  let state = "";
  let quarter = 0;
  let saidAt = 0;
  return function speak(job, view) {
    const now = [job.job_id, job.status, Boolean(view.cancelling), Boolean(view.suspending)].join(" ");
    const reached = Math.floor(view.progress * 4);
    const time = performance.now();
    if (now === state && (job.status !== "running" || reached <= quarter || time - saidAt < PAUSE_MS)) return;
    state = now;
    quarter = reached;
    saidAt = time;
    setText(node, view.headline);
  };
}
