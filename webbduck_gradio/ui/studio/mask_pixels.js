// @ts-check
// Mask pixels: how the paint looks, and conversion from and to PNG.
import { h } from "../shared/dom.js";
import { hasGrey, valuesOf } from "./mask_values.js";

/** A fill of two-coloured stripes, visible on any picture; only its opacity becomes the mask. */
export function stripes(context, longest) {
  const tile = h("canvas", {});
  const side = Math.max(8, 2 * Math.round(longest / 90));
  const tileContext = tile.getContext("2d");
  tile.width = tile.height = side;
  tileContext.fillStyle = "#ffc83d";
  tileContext.fillRect(0, 0, side, side);
  tileContext.strokeStyle = "#5b3f00";
  tileContext.lineWidth = side / 4;
  for (const shift of [-side, 0, side]) {
    tileContext.beginPath();
    tileContext.moveTo(shift - side, 2 * side);
    tileContext.lineTo(shift + 2 * side, -side);
    tileContext.stroke();
  }
  return context.createPattern(tile, "repeat");
}

/**
 * A PNG blob, white where it is painted and black elsewhere; null if nothing is painted. `isGrey`: its greys
 * are the opacity; without, it is white where the opacity is at least a half.
 */
export function maskOf(context, width, height, isGrey = false) {
  const pixels = context.getImageData(0, 0, width, height);
  const words = new Uint32Array(pixels.data.buffer);
  let isPainted = false;
  for (let each = 0; each < words.length; each += 1) {
    const opacity = words[each] >>> 24;
    const grey = isGrey ? opacity : opacity >= 128 ? 255 : 0;
    isPainted ||= grey > 0;
    words[each] = 0xff000000 | (grey * 0x010101);
  }
  if (!isPainted) return Promise.resolve(null);
  const flat = h("canvas", { width, height });
  flat.getContext("2d").putImageData(pixels, 0, 0);
  return new Promise((resolve) => flat.toBlob(resolve, "image/png"));
}

/**
 * A mask file as a canvas whose opacity is the mask, and whether it is partly painted; null if it cannot be
 * loaded.
 */
export async function readMask(url, width, height) {
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    return null;
  }
  const canvas = h("canvas", { width, height });
  const plain = canvas.getContext("2d", { willReadFrequently: true });
  plain.drawImage(image, 0, 0);
  const pixels = plain.getImageData(0, 0, width, height);
  const values = valuesOf(pixels.data);
  const words = new Uint32Array(pixels.data.buffer);
  for (let each = 0; each < words.length; each += 1) words[each] = (values[each] << 24) | 0xffffff;
  plain.putImageData(pixels, 0, 0);
  return { canvas, isGrey: hasGrey(values, width, height) };
}
