// @ts-check
// The hires pass: what the form says of it, and the size that it gives.
import { last } from "./bus.js";

const SIZES = ["hires_scale", "hires_width", "hires_height"];

/** Whether these values of the form ask for a hires pass. */
export const hasHires = (values) => SIZES.some((name) => Number(values?.[name]) > 0);

/** The form's settings of the hires pass, {} where it is off: then the studio takes its own. */
export function hiresSettings() {
  const values = last.get("form");
  if (!hasHires(values)) return {};
  return Object.fromEntries(Object.entries(values).filter(([name]) => name.startsWith("hires_")));
}

/**
 * Width and height that a hires pass gives, as in request/hires_fields.py; null while numbers are missing.
 *
 * @param {Record<string, any>} values of the form
 * @returns {[number, number] | null}
 */
export function hiresSize(values) {
  const [width, height, scale, wide, high] = ["width", "height", ...SIZES].map(
    (name) => Number(values[name]) || 0,
  );
  if (!width || !height || !hasHires(values)) return null;
  if (wide && high) return [wide, high];
  const exact = wide
    ? [wide, Math.floor((wide * height) / width)]
    : high
      ? [Math.floor((high * width) / height), high]
      : [width, height].map((side) => Math.floor(Number((side * scale).toFixed(6))));
  const [x, y] = exact.map((side) => Math.floor(side / 8) * 8);
  return [x, y];
}

/** "1024 × 1024 → 2048 × 2048"; null without a hires pass. */
export function hiresText(values) {
  const size = hiresSize(values);
  return size && `${values.width} × ${values.height} → ${size[0]} × ${size[1]}`;
}
