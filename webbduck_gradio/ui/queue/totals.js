// @ts-check
// What the headings of the queue's lists say: counts, and how long the open jobs will take together.
import { duration, many } from "../shared/format.js";

const generates = (job) => ["generate", "test"].includes(job.kind);
const pixels = (job) => job.request.width * job.request.height;

const listed = (counts, words) =>
  Object.entries(words)
    .filter(([state]) => counts[state])
    .map(([state, word]) => `${counts[state]} ${word}`)
    .join(", ");

/** "1 running, 19 waiting". */
export const openText = (counts) =>
  listed(counts, { running: "running", queued: "waiting", suspended: "put aside" });

/** "5 completed, 1 failed". */
export const endedText = (counts) =>
  listed(counts, {
    completed: "completed",
    failed: "failed",
    cancelled: "cancelled",
    interrupted: "interrupted",
  });

/** Steps that a job still has to do, in all its images. */
function stepsLeft(job) {
  const { request } = job;
  const steps = request.image ? Math.ceil(request.steps * request.strength) : request.steps;
  const at = job.continues_at ?? { image: 0, step: 0 };
  return steps * (request.num_images - at.image) - at.step;
}

/**
 * Estimated seconds until a job that has not started to count its steps is done; null if its checkpoint has
 * not been measured. A step is taken to cost as much as its pixels.
 */
function estimate(job, measured) {
  const like = measured.find((each) => each.request.base_model === job.request.base_model);
  return like ? (stepsLeft(job) * like.seconds_per_step * pixels(job)) / pixels(like) : null;
}

/**
 * "20 jobs, about 1 h 20 min": the running and the waiting jobs. Without a time where no job was measured,
 * "more than" where some were not; "" for less than two jobs.
 *
 * @param {any} state the answer of /queue
 * @param {number} now the server's time
 */
export function totalText(state, now) {
  const { jobs } = state;
  if (jobs.length < 2) return "";
  const measured = [...jobs, ...state.recent, ...state.suspended].filter(
    (job) => generates(job) && job.seconds_per_step,
  );
  let seconds = 0;
  let unknown = 0;
  // Captions and larger copies take little time beside pictures.
  for (const job of jobs.filter(generates)) {
    const left = job.seconds_left ?? estimate(job, measured);
    // The answer is as old as the list's last change.
    const since = job.status === "running" ? now - state.time : 0;
    if (left === null) unknown += 1;
    else seconds += Math.max(0, left - since);
  }
  const count = many(jobs.length, "job");
  if (!seconds) return count;
  return `${count}, ${unknown ? "more than" : "about"} ${duration(seconds)}`;
}
