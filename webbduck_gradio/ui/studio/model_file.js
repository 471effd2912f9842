// @ts-check
// A model file that was dropped on the page: which kind it is, and which folder it belongs into.

const MOST_HEADER = 32 * 2 ** 20;

export const isModelFile = (name) => /\.(safetensors|sft|ckpt|pth?|bin|gguf)$/i.test(name);

/**
 * What a safetensors file holds, by the names of its tensors: "checkpoint", "lora", "vae", "upscale",
 * "embedding", or "" where they do not tell.
 *
 * @param {string[]} names
 */
export function kindOfTensors(names) {
  const some = (pattern) => names.some((name) => pattern.test(name));
  if (some(/lora_(unet|te|down|up|[AB]\b)|\.(hada_w|lokr_w|oft_)/)) return "lora";
  if (some(/^(model\.diffusion_model|conditioner\.embedders|cond_stage_model)\./)) return "checkpoint";
  const own = names.filter((name) => !name.startsWith("__"));
  if (own.length && own.every((name) => /^(first_stage_model\.)?(en|de)coder\.|quant_conv\./.test(name))) {
    return "vae";
  }
  if (own.length && own.every((name) => /^clip_[lg]$/.test(name))) return "embedding";
  return some(/^(conv_first|RRDB_trunk|body\.\d|model\.\d)/) ? "upscale" : "";
}

/** The kind of a dropped file, from its header alone; "" where it cannot be told. */
export async function kindOfFile(file) {
  try {
    const size = new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true);
    if (size > MOST_HEADER) return "";
    return kindOfTensors(Object.keys(JSON.parse(await file.slice(8, 8 + Number(size)).text())));
  } catch {
    return ""; // not what its name says, or cut off
  }
}

export const isLoadable = (name) => /\.(safetensors|sft)$/i.test(name);

const NAMES = {
  checkpoint: "a checkpoint",
  lora: "a LoRA",
  vae: "a VAE",
  upscale: "an upscaler",
  embedding: "an embedding",
};

/**
 * Where a model file goes, in a sentence. `folders`: paths by kind.
 *
 * @param {string} name
 * @param {string} kind
 * @param {Record<string, string>} folders
 */
export function placeOfModel(name, kind, folders) {
  if (!isLoadable(name)) return `${name} cannot be loaded: models have to be .safetensors files.`;
  const found = "where the studio finds it by itself";
  if (kind) return `${name} is ${NAMES[kind]}: put the file into ${folders[kind]}, ${found}.`;
  const places = Object.entries(NAMES).map(([each, what]) => `${what} into ${folders[each]}`);
  return `${name} is a model file; put ${places.slice(0, -1).join(", ")}, or ${places.at(-1)}.`;
}
