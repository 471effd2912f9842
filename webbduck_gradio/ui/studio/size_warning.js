// @ts-check
// Sizes that a checkpoint draws badly: what to expect of them. The rule is the one of models/sizes.py.
import { hiresSize } from "../shared/hires.js";
import { duration, many } from "../shared/format.js";

const { limits, texts } = webbduckFacts.sizes;

/**
 * What is to be expected of a pass of this size, without its full stop, or null.
 *
 * @param {[number, number]} size width and height in px
 * @param {{native_size: number, largest?: number | null, largest_redrawn?: number | null}} checkpoint
 * @param {number | null} [strength] how much of a given picture is drawn anew; null: begun from noise alone
 * @param {number} [recommended] the checkpoint's strength for larger copies
 * @returns {string | null}
 */
export function sizeFault([width, height], checkpoint, strength = null, recommended = 0.5) {
  const { native_size, largest, largest_redrawn: redrawn } = checkpoint;
  const gentle = strength !== null && strength <= recommended;
  const bound = (gentle && redrawn) || largest;
  const area = (width * height) / native_size ** 2;
  const ratio = Math.max(width / height, height / width);
  const fault =
    area > limits.larger && (strength === null || strength > limits.kept)
      ? "repeated"
      : bound && width * height > bound ** 2
        ? strength !== null && !gentle && redrawn
          ? "too_strong"
          : "too_large"
        : strength === null && area < limits.smaller
          ? "cropped"
          : strength === null && ratio > limits.longer
            ? "stretched"
            : strength !== null && area > limits.redrawn && strength > recommended
              ? "changed"
              : null;
  if (!fault) return null;
  const number = { too_large: bound, too_strong: bound, stretched: rounded(ratio) }[fault] ?? rounded(area);
  const said = texts[fault].replaceAll("{n}", String(number)).replaceAll("{strength}", String(recommended));
  return `${width} × ${height} px ${said}`;
}

/**
 * Sentences about the sizes that the form asks for, or null.
 *
 * @param {Record<string, any>} values of the form
 * @param {any[]} checkpoints of the catalog
 * @param {any[]} jobs ended jobs, newest first; one of the same checkpoint tells the time of a step
 * @returns {string | null}
 */
export function sizeWarning(values, checkpoints, jobs) {
  const { width, height, base_model, image, outpaint } = values;
  if (![width, height].every((side) => Number.isFinite(side) && side > 0)) return null;
  if (image && outpaint) return null; // drawn in windows near the native size
  const known = (name) => checkpoints.find((each) => each.name === name) ?? { native_size: 1024 };
  const recommended = (checkpoint) => checkpoint.defaults?.hires_strength;
  const base = known(base_model);
  const first = sizeFault([width, height], base, image ? Number(values.strength) : null, recommended(base));
  const hires = known(values.hires_model || base_model);
  const larger = values.mask ? null : hiresSize(values);
  const second = larger && sizeFault(larger, hires, Number(values.hires_strength), recommended(hires));
  const said = [
    first && `${first}${timeOf(jobs.find(isPaced(base_model)), values)}.`,
    second && `The hires pass: ${second}.`,
  ].filter(Boolean);
  return said.join(" ") || null;
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
