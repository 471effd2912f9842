// @ts-check
// Pictures as the server lists them: {id, v (its version), w, h, problem ...}.
import { imageUrl, thumbUrl } from "../shared/urls.js";

export const thumbOf = (image) => `${thumbUrl(image.id)}?v=${image.v ?? 0}`;
export const imageOf = (image) => `${imageUrl(image.id)}?v=${image.v ?? 0}`;

/**
 * Why nothing of the picture can be shown; null where it can. A browser would try, even with one that fills
 * its memory.
 */
export const unreadable = (image) => (image.problem && !image.w ? image.problem : null);
