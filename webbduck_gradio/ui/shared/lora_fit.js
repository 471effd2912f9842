// @ts-check
// Compatibility of LoRAs with checkpoints. tests/rules/lora_fit.json verifies that this agrees with
// `Lora.is_compatible_with` (models/catalog/entries.py).

const ARCHITECTURES = {
  sdxl: "SDXL",
  "sdxl-inpaint": "SDXL inpainting",
  "sdxl-refiner": "SDXL refiner",
  "sdxl-edit": "SDXL edit",
  "sdxl-lcm": "SDXL LCM",
  "ssd-1b": "SSD-1B",
  vega: "Vega",
  playground: "Playground 2.5",
  sd1: "SD 1.5",
  sd2: "SD 2",
  sd3: "SD 3",
  flux: "FLUX",
  unknown: "unknown base",
};

/** Compares the width of the cross-attention if both are known, else the architecture. */
export const isCompatible = (lora, checkpoint) =>
  lora.context && checkpoint.context
    ? lora.context === checkpoint.context
    : lora.arch === checkpoint.lora_arch;

export const architectureName = (each) => ARCHITECTURES[each.arch] ?? each.arch;

/** The base of an incompatible LoRA, for the error message. */
export const madeFor = (lora, checkpoint) =>
  lora.arch === "unknown"
    ? "another architecture"
    : architectureName(lora) + (lora.arch === checkpoint.lora_arch ? " of another size" : "");

/** Why a LoRA cannot be used with a checkpoint (undefined if unknown), or null. */
export function blockedReason(lora, checkpoint) {
  if (lora.reason) return lora.reason;
  return checkpoint && !isCompatible(lora, checkpoint)
    ? `Made for ${madeFor(lora, checkpoint)}; ${checkpoint.name} cannot use it.`
    : null;
}
