// @ts-check
// The mask over the small input picture.

/** The mask over the small picture, in the editor's stripes. */
export async function tintMask(overlay, maskUrl, size) {
  overlay.hidden = !maskUrl;
  if (!maskUrl || !size) return;
  const light = new Image();
  light.src = maskUrl;
  try {
    await light.decode();
  } catch {
    return;
  }
  const scale = Math.min(1, 360 / Math.max(size.width, size.height));
  overlay.width = Math.max(1, Math.round(size.width * scale));
  overlay.height = Math.max(1, Math.round(size.height * scale));
  const context = overlay.getContext("2d", { willReadFrequently: true });
  context.drawImage(light, 0, 0, overlay.width, overlay.height);
  const pixels = context.getImageData(0, 0, overlay.width, overlay.height);
  for (let at = 0; at < pixels.data.length; at += 4) {
    const strength = pixels.data[at];
    const x = (at / 4) % overlay.width;
    const y = Math.floor(at / 4 / overlay.width);
    pixels.data.set([...((x + y) % 16 < 10 ? [255, 200, 61] : [91, 63, 0]), strength * 0.8], at);
  }
  context.putImageData(pixels, 0, 0);
}
