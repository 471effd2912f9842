// @ts-check
// A mask as pixels: how paint looks, and what of it counts.
import { h } from "../shared/dom.js";

/** Paint in stripes of two colours, so that it is seen on any picture; only its opacity counts. */
export function stripes(pen, longest) {
  const tile = h("canvas", {});
  const side = Math.max(8, 2 * Math.round(longest / 90));
  const brush = tile.getContext("2d");
  tile.width = tile.height = side;
  brush.fillStyle = "#ffc83d";
  brush.fillRect(0, 0, side, side);
  brush.strokeStyle = "#5b3f00";
  brush.lineWidth = side / 4;
  for (const shift of [-side, 0, side]) {
    brush.beginPath();
    brush.moveTo(shift - side, 2 * side);
    brush.lineTo(shift + 2 * side, -side);
    brush.stroke();
  }
  return pen.createPattern(tile, "repeat");
}

/**
 * A black and white PNG, as the core reads it: a pixel is painted where it is covered at least half. Null
 * where none is.
 */
export function maskOf(pen, width, height) {
  const pixels = pen.getImageData(0, 0, width, height);
  const words = new Uint32Array(pixels.data.buffer);
  let any = false;
  for (let each = 0; each < words.length; each += 1) {
    const painted = words[each] >>> 24 >= 128;
    any ||= painted;
    words[each] = painted ? 0xffffffff : 0xff000000;
  }
  if (!any) return Promise.resolve(null);
  const flat = h("canvas", {});
  flat.width = width;
  flat.height = height;
  flat.getContext("2d").putImageData(pixels, 0, 0);
  return new Promise((resolve) => flat.toBlob(resolve, "image/png"));
}

/** A mask's picture as a canvas of opaque and clear pixels; null where it cannot be read. */
export async function readMask(url, width, height) {
  const light = new Image();
  light.src = url;
  try {
    await light.decode();
  } catch {
    return null;
  }
  const base = h("canvas", {});
  base.width = width;
  base.height = height;
  const plain = base.getContext("2d", { willReadFrequently: true });
  plain.drawImage(light, 0, 0);
  const pixels = plain.getImageData(0, 0, width, height);
  const words = new Uint32Array(pixels.data.buffer);
  for (let each = 0; each < words.length; each += 1) {
    words[each] = (words[each] & 255) >= 128 ? 0xffffffff : 0;
  }
  plain.putImageData(pixels, 0, 0);
  return base;
}
