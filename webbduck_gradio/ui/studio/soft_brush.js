// @ts-check
// How strongly a brush covers the pixels around its stroke: by their distance from it alone, so that a stroke
// is nowhere stronger where it crosses itself.

/** @typedef {{x: number, y: number, width: number, height: number}} Rect */

/** Whether a stroke has partly painted pixels, apart from its smoothed edge. */
export const isSoft = ({ hardness, opacity }) => hardness < 100 || opacity < 100;

/**
 * The strength, 0 to 1, at a distance in pixels from a stroke.
 *
 * @param {number} distance
 * @param {number} radius of the brush
 * @param {number} hardness in percent: the part of the radius that is fully covered; at 100 the edge is one
 *   pixel wide
 */
export function strengthAt(distance, radius, hardness) {
  const edge = Math.max(1, radius * (1 - hardness / 100));
  const share = Math.min(1, Math.max(0, (radius + 0.5 - distance) / edge));
  return share * share * (3 - 2 * share);
}

/**
 * Add a straight piece of a stroke to `cover`, which holds 0 to 255 for each pixel, and keep what is stronger
 * there already. Returns the rectangle that may have changed, inside the picture; it may be empty.
 *
 * @param {Uint8Array} cover
 * @param {{width: number, height: number}} size of the picture
 * @param {[number, number]} from
 * @param {[number, number]} to
 * @param {{size: number, hardness: number}} brush
 * @returns {Rect}
 */
export function addPiece(cover, { width, height }, from, to, { size, hardness }) {
  const radius = size / 2;
  const reach = Math.ceil(radius + 1);
  const limit = (value, most) => Math.min(most, Math.max(0, Math.floor(value)));
  const left = limit(Math.min(from[0], to[0]) - reach, width);
  const top = limit(Math.min(from[1], to[1]) - reach, height);
  const right = limit(Math.max(from[0], to[0]) + reach + 1, width);
  const bottom = limit(Math.max(from[1], to[1]) + reach + 1, height);
  const [along, down] = [to[0] - from[0], to[1] - from[1]];
  const length = along * along + down * down;
  for (let y = top; y < bottom; y += 1) {
    for (let x = left; x < right; x += 1) {
      const [across, below] = [x + 0.5 - from[0], y + 0.5 - from[1]];
      const share = length && Math.min(1, Math.max(0, (across * along + below * down) / length));
      const distance = Math.hypot(across - share * along, below - share * down);
      if (distance >= radius + 0.5) continue;
      const strength = Math.round(255 * strengthAt(distance, radius, hardness));
      const place = y * width + x;
      if (strength > cover[place]) cover[place] = strength;
    }
  }
  return { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
}

/** The smallest rectangle around both; `one` may be null.
 * @param {Rect | null} one
 * @param {Rect} other
 * @returns {Rect}
 */
export function around(one, other) {
  if (!one?.width || !one.height) return other;
  if (!other.width || !other.height) return one;
  const [x, y] = [Math.min(one.x, other.x), Math.min(one.y, other.y)];
  return {
    x,
    y,
    width: Math.max(one.x + one.width, other.x + other.width) - x,
    height: Math.max(one.y + one.height, other.y + other.height) - y,
  };
}
