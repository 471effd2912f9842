// @ts-check
// What is known of many pictures that are drawn by img2img (folder_batch.js).

export const ENDED = ["completed", "failed", "cancelled", "interrupted"];

/**
 * `files`: what is not queued yet. `jobs`: the status of each job. `skipped`: results that were there.
 * `problem`: why it stopped. `values`: the form's, null before the start.
 *
 * @typedef {{files: File[], total: number, jobs: Map<string, string>, skipped: number, problem: string,
 *   values: Record<string, any> | null, isStopped: boolean}} Batch
 */

/** Whether a file is a picture that can be an input picture. */
export const isPicture = (file) => /^image\/(png|jpeg|webp)$/.test(file.type);

/** Number of its jobs that have one of these statuses. */
export const count = (of, ...statuses) =>
  [...of.jobs.values()].filter((each) => statuses.includes(each)).length;
/** Whether nothing more will come of it. */
export const isDone = (of) =>
  (of.isStopped || !of.files.length) && count(of, ...ENDED) === of.jobs.size && of.values !== null;

/** How far it is, in words. */
export function progressOf(of) {
  const parts = [`${count(of, "completed")} of ${of.total} done`];
  const open = of.jobs.size - count(of, ...ENDED);
  if (open) parts.push(`${open} in the queue`);
  if (of.files.length) {
    parts.push(of.isStopped ? `${of.files.length} not sent` : `${of.files.length} waiting for a place in it`);
  }
  if (of.skipped) parts.push(`${of.skipped} skipped, whose results are there already`);
  const lost = count(of, "failed", "cancelled", "interrupted");
  if (lost) parts.push(`${lost} not completed`);
  return `${parts.join(", ")}.`;
}
