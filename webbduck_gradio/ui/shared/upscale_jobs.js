// @ts-check
// Jobs that make a larger copy of a picture.

/** Kinds of such jobs. */
export const KINDS = ["upscale", "redraw"];

/** "Lanczos", "Lanczos and detail". */
export const methodOf = (job) => `${job.request.upscaler}${job.kind === "redraw" ? " and detail" : ""}`;

/**
 * Ids of the jobs that were asked for in the Gallery, which says when they are done; the viewer does not.
 *
 * @type {Set<string>}
 */
export const ofGallery = new Set();
