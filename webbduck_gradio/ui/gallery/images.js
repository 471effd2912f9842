// @ts-check
// Helpers for pictures as the server lists them: {id, v (version), w, h, problem, ...}.
import { imageUrl, thumbUrl } from "../shared/urls.js";

export const thumbOf = (image) => `${thumbUrl(image.id)}?v=${image.v ?? 0}`;
export const imageOf = (image) => `${imageUrl(image.id)}?v=${image.v ?? 0}`;

/**
 * Why a picture must not be shown, or null. The browser would try to decode it, even one that exhausts its
 * memory.
 */
export const unreadable = (image) => (image.problem && !image.w ? image.problem : null);
