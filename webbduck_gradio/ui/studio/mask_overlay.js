// @ts-check
// The mask drawn over the thumbnail of the input picture.

/** Draw the mask at `maskUrl` on a canvas, in the editor's stripes; `size` is the picture's, in pixels. */
export async function tintMask(overlay, maskUrl, size) {
  overlay.hidden = !maskUrl;
  if (!maskUrl || !size) return;
  const mask = new Image();
  mask.src = maskUrl;
  try {
    await mask.decode();
  } catch {
    return;
  }
  const scale = Math.min(1, 360 / Math.max(size.width, size.height));
  overlay.width = Math.max(1, Math.round(size.width * scale));
  overlay.height = Math.max(1, Math.round(size.height * scale));
  const context = overlay.getContext("2d", { willReadFrequently: true });
  context.drawImage(mask, 0, 0, overlay.width, overlay.height);
  const pixels = context.getImageData(0, 0, overlay.width, overlay.height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    const strength = pixels.data[at];
    const x = (at / 4) % overlay.width;
    const y = Math.floor(at / 4 / overlay.width);
    pixels.data.set([...((x + y) % 16 < 10 ? [255, 200, 61] : [91, 63, 0]), strength * 0.8], at);
  }
  context.putImageData(pixels, 0, 0);
}
