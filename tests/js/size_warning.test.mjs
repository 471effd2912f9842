// What is said of a size far from the checkpoint's own.
import assert from "node:assert/strict";
import { test } from "node:test";

const { sizeWarning } = await import("../../webbduck_gradio/ui/studio/size_warning.js");
const asked = (width, height) => ({ width, height, steps: 10, num_images: 2, base_model: "duck" });
const jobs = [
  { seconds_per_step: 9, request: { width: 256, height: 256, base_model: "another" } },
  { seconds_per_step: null, request: { width: 256, height: 256, base_model: "duck" } },
  { seconds_per_step: 2, request: { width: 256, height: 256, base_model: "duck" } },
];

test("sizes near the native one are left alone, to the very limit", () => {
  for (const [width, height] of [
    [256, 256],
    [384, 384],
    [128, 128],
    [400, 160],
    [NaN, 256],
    ["abc", 256],
  ]) {
    assert.equal(sizeWarning(asked(width, height), 256, jobs), null);
  }
});

test("others are said, with the time where it is known", () => {
  assert.equal(
    sizeWarning(asked(512, 512), 256, jobs),
    "512 × 512 px is 4 times the area that the checkpoint was trained on; expect repeated subjects, " +
      "and at least 2 min for 2 images.",
  );
  assert.match(sizeWarning(asked(120, 128), 256, []), /less than a quarter .* cropped subjects\.$/);
  assert.match(sizeWarning(asked(416, 160), 256, []), /sides of 2\.6 to 1/);
});
