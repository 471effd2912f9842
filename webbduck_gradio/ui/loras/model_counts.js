// @ts-check
// How many models of each kind another program's folder has, in words.
import { many, number } from "../shared/format.js";

/** @type {Record<string, [string, string]>} one and several of a kind, in the order in which they are told */
const KINDS = {
  checkpoint: ["checkpoint", "checkpoints"],
  lora: ["LoRA", "LoRAs"],
  file: ["model file", "model files"],
  vae: ["VAE", "VAEs"],
  embedding: ["embedding", "embeddings"],
  upscale: ["upscaler", "upscalers"],
  detect: ["detector", "detectors"],
  wildcards: ["wildcard", "wildcards"],
  styles: ["style", "styles"],
};
/** @type {typeof KINDS} */
const NOT_USED = { controlnet: ["ControlNet", "ControlNets"] };

const listed = (found, kinds) =>
  Object.entries(kinds)
    .filter(([kind]) => found[kind])
    .map(([kind, [one, several]]) => many(found[kind], one, several))
    .join(", ");

/**
 * "214 checkpoints, 1,020 LoRAs, 3 VAEs; not usable here: 812; not used: 12 ControlNets".
 *
 * @param {{found: Record<string, number>, unusable: number | null}} folder
 */
export function countsText({ found, unusable }) {
  const used = listed(found, KINDS) || "no models";
  const others = listed(found, NOT_USED);
  return [used, unusable && `not usable here: ${number(unusable)}`, others && `not used: ${others}`]
    .filter(Boolean)
    .join("; ");
}
