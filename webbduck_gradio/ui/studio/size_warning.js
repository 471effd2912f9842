// @ts-check
// Sizes far from the one that a checkpoint was trained on: what to expect of them.
import { duration, many } from "../shared/format.js";

const LARGER = 2.25;
const SMALLER = 1 / 4;
const LONGER = 2.5;

/**
 * A sentence about a size far from the checkpoint's native one, or null.
 *
 * @param {Record<string, any>} values of the form
 * @param {number} native side in px of the square that the checkpoint was trained on
 * @param {any[]} jobs ended jobs, newest first; one of the same checkpoint tells the time of a step
 * @returns {string | null}
 */
export function sizeWarning(values, native, jobs) {
  const { width, height, base_model } = values;
  if (![width, height].every((side) => Number.isFinite(side) && side > 0)) return null;
  const area = (width * height) / (native * native);
  const ratio = Math.max(width / height, height / width);
  const expected = [
    area > LARGER &&
      `is ${rounded(area)} times the area that the checkpoint was trained on; expect repeated subjects`,
    area < SMALLER &&
      "is less than a quarter of the area that the checkpoint was trained on; expect cropped subjects",
    ratio > LONGER &&
      `has sides of ${rounded(ratio)} to 1, which the checkpoint hardly knows; expect repeated subjects`,
  ].find(Boolean);
  if (!expected) return null;
  return `${width} × ${height} px ${expected}${timeOf(jobs.find(isPaced(base_model)), values)}.`;
}

const rounded = (value) => Number(value.toPrecision(2));

const isPaced = (name) => (job) =>
  job.seconds_per_step && job.request.width && job.request.base_model === name;

/** The time by the pace of `job`. Attention grows faster than the area, so larger pictures take longer. */
function timeOf(job, values) {
  const { width, height, steps, num_images } = values;
  if (!job || !Number.isFinite(steps) || !Number.isFinite(num_images)) return "";
  const growth = (width * height) / (job.request.width * job.request.height);
  const time = duration(job.seconds_per_step * growth * steps * num_images);
  return `, and ${growth > 1 ? "at least " : "about "}${time} for ${many(num_images, "image")}`;
}
