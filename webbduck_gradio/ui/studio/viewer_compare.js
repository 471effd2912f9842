// @ts-check
// The pictures that the one in the viewer can be compared with.
import { imageUrl, inputFileUrl } from "../shared/urls.js";

/**
 * {name, source} of its original, its input picture, the rest of its batch, and the previous job's picture.
 */
export function comparable(shown, gone, jobs) {
  if (!shown.picture) return [];
  const found = [];
  if (shown.picture !== shown.image) found.push({ name: "the original", source: imageUrl(shown.image) });
  if (shown.job.request.image) {
    found.push({ name: "the input picture", source: inputFileUrl(shown.job.request.image) });
  }
  const batch = shown.job.images.filter((id) => !gone.has(id));
  batch.forEach((id, index) => {
    if (id !== shown.image) found.push({ name: `picture ${index + 1} of the batch`, source: imageUrl(id) });
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
