// @ts-check
// What the pixels of a mask's file mean.

/** Values this close to black or white, or to each other, count as equal, as in storage/masks.py. */
const NOISE = 16;

/**
 * What a mask file's pixels mean, 0 to 255 each, as storage/masks.py takes them: the brightest channel, or
 * the opacity where that varies; of black, white and transparent the white.
 *
 * @param {Uint8ClampedArray} data RGBA
 * @returns {Uint8Array}
 */
export function valuesOf(data) {
  const count = data.length / 4;
  const bright = new Uint8Array(count);
  const opacity = new Uint8Array(count);
  let [least, most, dark, light] = [255, 0, 0, 0];
  for (let each = 0; each < count; each += 1) {
    const at = 4 * each;
    bright[each] = Math.max(data[at], data[at + 1], data[at + 2]);
    opacity[each] = data[at + 3];
    least = Math.min(least, opacity[each]);
    most = Math.max(most, opacity[each]);
    if (opacity[each] < 128) continue;
    if (bright[each] < 64) dark += 1;
    if (bright[each] > 191) light += 1;
  }
  if (most > NOISE && most - least <= NOISE) return bright;
  if (Math.min(dark, light) <= 0.02 * (dark + light)) return opacity;
  return bright.map((value, each) => Math.min(value, opacity[each]));
}

/** Whether any pixel is partly painted among others that are; smoothed edges are too thin for that. */
export function hasGrey(values, width, height) {
  const isGrey = (place) => values[place] > NOISE && values[place] < 255 - NOISE;
  const around = [-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1];
  for (let y = 1; y < height - 1; y += 1) {
    for (let x = 1; x < width - 1; x += 1) {
      const place = y * width + x;
      if (isGrey(place) && around.every((by) => isGrey(place + by))) return true;
    }
  }
  return false;
}
