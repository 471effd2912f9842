import assert from "node:assert/strict";
import { test } from "node:test";
import { hasHires, hiresSize, hiresText } from "../../webbduck_gradio/ui/shared/hires.js";

// The same as in tests/core/test_hires.py.
const SIZES = [
  [{ hires_scale: 2 }, [256, 192]],
  [{ hires_scale: 1.15 }, [144, 104]],
  [{ hires_width: 192 }, [192, 144]],
  [{ hires_height: 144 }, [192, 144]],
  [{ hires_width: 192, hires_height: 192 }, [192, 192]],
];

test("the size is the one that the studio draws", () => {
  for (const [asked, size] of SIZES) {
    assert.deepEqual(hiresSize({ width: 128, height: 96, ...asked }), size);
  }
  assert.deepEqual(hiresSize({ width: 960, height: 960, hires_scale: 1.15 }), [1104, 1104]);
  assert.equal(hiresText({ width: 128, height: 96, hires_scale: 2 }), "128 × 96 → 256 × 192");
});

test("nothing is said where it is off or a number is missing", () => {
  for (const off of [null, {}, { hires_scale: null }, { hires_scale: "", hires_width: 0 }]) {
    assert.equal(hasHires(off), false);
  }
  assert.equal(hiresText({ width: 128, height: 96, hires_scale: "" }), null);
  assert.equal(hiresSize({ width: null, height: 96, hires_scale: 2 }), null);
});
