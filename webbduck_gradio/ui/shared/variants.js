// @ts-check
// What a picture beside another one is: an upscaled copy, or a stage on the way to it (request/stages.py).
import { many } from "./format.js";

const STAGES = {
  base: "after the first pass",
  redrawn: "after the second pass",
  hires: "after the hires pass",
};

/**
 * What the variant with this id is, in words: "upscaled", "after the first pass".
 *
 * @param {string} id
 * @returns {string}
 */
export function variantName(id) {
  const name = id.split("/").at(-1) ?? "";
  const kind = /_([a-z]+)(?:-\d+)?\.[a-z]+$/i.exec(name)?.[1] ?? "";
  return STAGES[kind] ?? "upscaled";
}

/** The same as the name of a choice: "the upscaled copy", "the picture after the first pass". */
export function variantChoice(id) {
  const name = variantName(id);
  return name === "upscaled" ? "its upscaled copy" : `the picture ${name}`;
}

/** How many there are: "2 upscaled images", "1 stage", "3 upscaled images and stages". */
export function countVariants(ids) {
  const upscaled = ids.filter((id) => variantName(id) === "upscaled").length;
  if (upscaled === ids.length) return many(upscaled, "upscaled image");
  return upscaled ? `${ids.length} upscaled images and stages` : many(ids.length, "stage");
}
