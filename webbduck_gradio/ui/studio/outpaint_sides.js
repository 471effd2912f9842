// @ts-check
// Which sides an outpainted picture can have: its width and height are multiples of the page's step.

/**
 * The length along which a side extends, and the side opposite to it.
 *
 * @type {Record<string, {axis: "width" | "height", opposite: string, outward: number}>}
 */
export const SIDES = {
  left: { axis: "width", opposite: "right", outward: -1 },
  right: { axis: "width", opposite: "left", outward: 1 },
  top: { axis: "height", opposite: "bottom", outward: -1 },
  bottom: { axis: "height", opposite: "top", outward: 1 },
};

const OTHER = { width: "height", height: "width" };

/**
 * Width and height of the result.
 *
 * @param {import("../shared/sides.js").Sides} sides
 * @param {{width: number, height: number}} size of the picture
 */
export const resultSize = (sides, { width, height }) => ({
  width: width + sides.left + sides.right,
  height: height + sides.top + sides.bottom,
});

/** What the right or the bottom side takes so that the result is a multiple of `step`. */
const rest = (side, size, step) =>
  SIDES[side].outward < 0 ? 0 : (step - (size[SIDES[side].axis] % step)) % step;

/**
 * The sides with one of them set as near to `wanted` pixels as the limits allow.
 *
 * @param {import("../shared/sides.js").Sides} sides
 * @param {string} side
 * @param {number} wanted
 * @param {{width: number, height: number}} size of the picture
 * @param {{step: number, most: number, mostPixels: number}} limits of the result
 */
export function withSide(sides, side, wanted, size, { step, most, mostPixels }) {
  const { axis, opposite } = SIDES[side];
  const across = resultSize(sides, size)[OTHER[axis]];
  const room = Math.min(most, Math.floor(mostPixels / across)) - size[axis] - sides[opposite];
  const least = rest(side, size, step);
  const highest = least + Math.max(0, Math.floor((room - least) / step)) * step;
  const near = least + Math.round((wanted - least) / step) * step;
  return { ...sides, [side]: Math.min(highest, Math.max(least, near)) };
}
