// What the dialog of model folders says of the models in one.
import assert from "node:assert/strict";
import { test } from "node:test";

import { countsText } from "../../webbduck_gradio/ui/loras/model_counts.js";

test("counts by kind, what is not used last", () => {
  assert.equal(
    countsText({ controlnet: 12, lora: 1020, checkpoint: 214, vae: 1 }),
    "214 checkpoints, 1,020 LoRAs, 1 VAE; not used: 12 ControlNets",
  );
  assert.equal(countsText({ controlnet: 1 }), "no models; not used: 1 ControlNet");
  assert.equal(countsText({}), "no models");
});
