// What is said of sizes that a checkpoint draws badly, by the cases that Python is held to as well.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const sizes = JSON.parse(readFileSync(new URL("../rules/sizes.json", import.meta.url), "utf8"));
globalThis.webbduckFacts = { sizes };
const { sizeFault, sizeWarning } = await import("../../webbduck_gradio/ui/studio/size_warning.js");

const checkpoints = [{ name: "duck", native_size: 256, defaults: { hires_strength: 0.3 } }];
const asked = (width, height, more = {}) => ({
  width,
  height,
  steps: 10,
  num_images: 2,
  base_model: "duck",
  ...more,
});
const jobs = [
  { seconds_per_step: 9, request: { width: 256, height: 256, base_model: "another" } },
  { seconds_per_step: null, request: { width: 256, height: 256, base_model: "duck" } },
  { seconds_per_step: 2, request: { width: 256, height: 256, base_model: "duck" } },
];

test("the rule is the one of Python", () => {
  for (const { size, native, strength, recommended, largest, redrawn, said } of sizes.cases) {
    const checkpoint = { native_size: native, largest, largest_redrawn: redrawn };
    assert.equal(sizeFault(size, checkpoint, strength, recommended), said);
  }
});

test("what is no size yet is left alone", () => {
  for (const width of [NaN, "abc", 0]) {
    assert.equal(sizeWarning(asked(width, 256), checkpoints, jobs), null);
  }
});

test("the first pass is said with the time where it is known", () => {
  assert.equal(
    sizeWarning(asked(512, 512), checkpoints, jobs),
    "512 × 512 px is 4 times the area that the checkpoint was trained on; expect repeated subjects, " +
      "and at least 2 min for 2 images.",
  );
  assert.match(sizeWarning(asked(120, 128), checkpoints, []), /cropped subjects\.$/);
});

test("a picture to begin from holds larger sizes, and outpainting draws in windows", () => {
  const image = { image: "x", strength: 0.6 };
  assert.equal(sizeWarning(asked(512, 512, image), checkpoints, []), null);
  assert.match(sizeWarning(asked(768, 512, image), checkpoints, []), /above strength 0\.3/);
  assert.equal(sizeWarning(asked(768, 512, { ...image, outpaint: "0,0,9,9" }), checkpoints, []), null);
});

test("the hires pass is said of its own size and strength", () => {
  const hires = { hires_scale: 3, hires_strength: 0.5 };
  assert.match(
    sizeWarning(asked(256, 256, hires), checkpoints, jobs),
    /^The hires pass: 768 × 768 px is 9 times/,
  );
  assert.equal(sizeWarning(asked(256, 256, { ...hires, hires_strength: 0.3 }), checkpoints, jobs), null);
});
