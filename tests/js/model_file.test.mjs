import assert from "node:assert/strict";
import { test } from "node:test";
import { kindOfFile, kindOfTensors, placeOfModel } from "../../webbduck_gradio/ui/studio/model_file.js";

const FOLDERS = {
  checkpoint: "/c/sdxl",
  lora: "/l",
  vae: "/c/vae",
  upscale: "/c/upscale",
  embedding: "/c/embedding",
};

test("the kind of a model file by its tensors", () => {
  for (const [kind, name] of [
    ["checkpoint", "model.diffusion_model.input_blocks.0.0.weight"],
    ["checkpoint", "conditioner.embedders.0.transformer.text_model.embeddings.position_ids"],
    ["lora", "lora_unet_down_blocks_1_attentions_0_proj_in.lora_down.weight"],
    ["lora", "unet.down_blocks.1.attentions.0.proj_in.lora_A.weight"],
    ["lora", "diffusion_model.blocks.0.hada_w1_a"],
    ["vae", "decoder.conv_in.weight"],
    ["vae", "first_stage_model.decoder.conv_in.weight"],
    ["upscale", "conv_first.weight"],
    ["embedding", "clip_l"],
    ["", "text_model.encoder.layers.0.weight"],
  ]) {
    assert.equal(kindOfTensors(["__metadata__", name]), kind, name);
  }
  assert.equal(kindOfTensors(["__metadata__"]), "");
});

function file(name, header) {
  const text = new TextEncoder().encode(header);
  const size = new DataView(new ArrayBuffer(8));
  size.setBigUint64(0, BigInt(text.length), true);
  return new File([size, text, new Uint8Array(16)], name);
}

test("it is read from the header, whatever the file holds", async () => {
  assert.equal(await kindOfFile(file("a.safetensors", '{"conv_first.weight": {}}')), "upscale");
  assert.equal(await kindOfFile(file("a.safetensors", "no header")), "");
  assert.equal(await kindOfFile(new File(["\xff"], "a.safetensors")), "");
});

test("one sentence says where it goes", () => {
  assert.equal(
    placeOfModel("style.safetensors", "lora", FOLDERS),
    "style.safetensors is a LoRA: put the file into /l, where the studio finds it by itself.",
  );
  assert.equal(
    placeOfModel("other.safetensors", "", FOLDERS),
    "other.safetensors is a model file; put a checkpoint into /c/sdxl, a LoRA into /l, a VAE into /c/vae, " +
      "an upscaler into /c/upscale, or an embedding into /c/embedding.",
  );
  assert.equal(
    placeOfModel("old.ckpt", "", FOLDERS),
    "old.ckpt cannot be loaded: models have to be .safetensors files.",
  );
});
