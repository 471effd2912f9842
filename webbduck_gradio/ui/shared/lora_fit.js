// @ts-check
// Whether a LoRA fits a checkpoint, and what to say where it does not. tests/rules/lora_fit.json holds this
// and `Lora.is_compatible_with` (models/catalog/entries.py) together.

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

/** By the width of the cross-attention where both are known, else by the architecture. */
export const isCompatible = (lora, checkpoint) =>
  lora.context && checkpoint.context
    ? lora.context === checkpoint.context
    : lora.arch === checkpoint.lora_arch;

export const architectureName = (each) => ARCHITECTURES[each.arch] ?? each.arch;

/** What a LoRA that does not fit this checkpoint is made for. */
export const madeFor = (lora, checkpoint) =>
  lora.arch === "unknown"
    ? "another architecture"
    : architectureName(lora) + (lora.arch === checkpoint.lora_arch ? " of another size" : "");

/** Why a LoRA cannot be used with this checkpoint (which may not be known), null where it can. */
export function blockedReason(lora, checkpoint) {
  if (lora.reason) return lora.reason;
  return checkpoint && !isCompatible(lora, checkpoint)
    ? `Made for ${madeFor(lora, checkpoint)}; ${checkpoint.name} cannot use it.`
    : null;
}
