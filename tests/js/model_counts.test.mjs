// What the dialog of model folders says of the models in one.
import assert from "node:assert/strict";
import { test } from "node:test";

import { countsText } from "../../webbduck_gradio/ui/loras/model_counts.js";

test("counts by kind, what is not used last", () => {
  const found = { controlnet: 12, lora: 1020, checkpoint: 214, vae: 1 };
  const all = "214 checkpoints, 1,020 LoRAs, 1 VAE";
  assert.equal(countsText({ found, unusable: null }), `${all}; not used: 12 ControlNets`);
  assert.equal(
    countsText({ found, unusable: 1000 }),
    `${all}; not usable here: 1,000; not used: 12 ControlNets`,
  );
  const none = { found: { controlnet: 1 }, unusable: 0 };
  assert.equal(countsText(none), "no models; not used: 1 ControlNet");
});
