// @ts-check
// Comparison of the picture in the viewer with others.
import { compareIn } from "../shared/compare.js";
import { imageUrl, inputFileUrl } from "../shared/urls.js";
import { variantChoice } from "../shared/variants.js";

/**
 * {name, source} of what it can be compared with: its original, its upscaled copies and kept stages, its
 * input picture, the rest of its batch, and the previous job's picture.
 */
export function comparable(shown, gone, jobs) {
  if (!shown.image) return [];
  const found = [];
  if (shown.original !== shown.image) found.push({ name: "the original", source: imageUrl(shown.original) });
  for (const id of shown.copies) found.push({ name: variantChoice(id), source: imageUrl(id) });
  if (shown.job.request.image) {
    found.push({ name: "the input picture", source: inputFileUrl(shown.job.request.image) });
  }
  const batch = shown.job.images.filter((id) => !gone.has(id));
  batch.forEach((id, index) => {
    if (id !== shown.original) {
      found.push({ name: `picture ${index + 1} of the batch`, source: imageUrl(id) });
    }
  });
  const ended = jobs;
  const before = ended
    .slice(ended.indexOf(shown.job) + 1)
    .find((job) => job.finished && job.images.some((id) => !gone.has(id)));
  if (before) {
    found.push({
      name: "the previous picture",
      source: imageUrl(before.images.findLast((id) => !gone.has(id))),
    });
  }
  return found;
}

/** The comparison of the picture in `frame` with `others()`, which `tool` switches on and off. */
export function makeComparison(tool, frame, others) {
  let comparing = null;
  function end() {
    if (!comparing) return;
    comparing.end();
    comparing = null;
    tool.setAttribute("aria-pressed", "false");
  }
  function toggle() {
    if (comparing) return end();
    comparing = compareIn(frame, others());
    tool.setAttribute("aria-pressed", "true");
  }
  return { toggle, end };
}
