import assert from "node:assert/strict";
import { test } from "node:test";
import { countVariants, variantChoice, variantName } from "../../webbduck_gradio/ui/shared/variants.js";

test("a variant is told by its name", () => {
  assert.equal(variantName("run/0_base.png"), "after the first pass");
  assert.equal(variantName("run/0_upscaled-2.png"), "upscaled");
  assert.equal(variantName("run/0_base_upscaled.png"), "upscaled");
  assert.equal(variantName("run/photo.webp"), "upscaled");
  assert.equal(variantChoice("run/3_redrawn.webp"), "the picture after the second pass");
  assert.equal(variantChoice("run/3_upscaled.png"), "its upscaled copy");
});

test("variants are counted by kind", () => {
  assert.equal(countVariants(["r/0_upscaled.png"]), "1 upscaled image");
  assert.equal(countVariants(["r/0_base.png", "r/0_redrawn.png"]), "2 stages");
  assert.equal(countVariants(["r/0_base.png", "r/0_upscaled.png"]), "2 upscaled images and stages");
});
