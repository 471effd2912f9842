// The sides of an outpainted picture: rounded and limited as a request wants them.
import assert from "node:assert/strict";
import test from "node:test";
import { none, sidesOf, sidesText } from "../../webbduck_gradio/ui/shared/sides.js";
import { resultSize, withSide } from "../../webbduck_gradio/ui/studio/outpaint_sides.js";

const limits = { step: 8, most: 4096, mostPixels: 4096 * 2304 };
const size = { width: 256, height: 192 };

test("a side is the nearest multiple of the step, never below nothing", () => {
  const wanted = { 3: 0, 4: 8, 100: 104, "-50": 0 };
  for (const [pixels, expected] of Object.entries(wanted)) {
    assert.equal(withSide(none(), "left", Number(pixels), size, limits).left, expected, pixels);
  }
});

test("right and bottom make up for a picture that is no multiple of the step", () => {
  const odd = { width: 253, height: 190 };
  let sides = withSide(none(), "right", 0, odd, limits);
  sides = withSide(sides, "bottom", 100, odd, limits);
  sides = withSide(sides, "left", 16, odd, limits);
  assert.deepEqual(sides, { left: 16, right: 3, top: 0, bottom: 98 });
  assert.deepEqual(resultSize(sides, odd), { width: 272, height: 288 });
});

test("no result is longer or larger than a request can have", () => {
  const wide = withSide(none(), "right", Infinity, size, limits);
  assert.equal(resultSize(wide, size).width, 4096);
  const whole = resultSize(withSide(wide, "top", Infinity, size, limits), size);
  assert.deepEqual(whole, { width: 4096, height: 2304 });
  assert.equal(withSide(wide, "left", 80, size, limits).left, 0);
});

test("the form's text and a request's object are the same sides", () => {
  assert.deepEqual(sidesOf('{"left":8,"right":0,"top":0,"bottom":16}'), sidesOf({ left: 8, bottom: 16 }));
  assert.equal(sidesText({ left: 8, right: 0, bottom: 16 }), "left 8, bottom 16");
  for (const empty of ["", null, undefined, "{"]) assert.equal(sidesText(empty), "");
});
