// How strongly a soft brush covers the pixels around its stroke.
import assert from "node:assert/strict";
import { test } from "node:test";

const { addPiece, around, strengthAt } = await import("../../webbduck_gradio/ui/studio/soft_brush.js");
const { hasGrey, valuesOf } = await import("../../webbduck_gradio/ui/studio/mask_values.js");

const SIZE = { width: 60, height: 40 };
const painted = (pieces, brush) => {
  const cover = new Uint8Array(SIZE.width * SIZE.height);
  const rects = pieces.map(([from, to]) => addPiece(cover, SIZE, from, to, brush));
  return { rects, at: (x, y) => cover[y * SIZE.width + x], cover };
};

test("a hard brush has an edge of one pixel, a soft one fades from its middle", () => {
  assert.deepEqual(
    [9, 9.5, 10, 10.5, 11].map((distance) => strengthAt(distance, 10, 100)),
    [1, 1, 0.5, 0, 0],
  );
  const soft = [0, 2.5, 5, 7.5, 10].map((distance) => strengthAt(distance, 10, 0));
  assert.ok(soft.every((each, index) => !index || each < soft[index - 1]));
  assert.ok(soft[0] === 1 && soft[4] < 0.01);
  const half = [0, 4, 5.5, 8, 10].map((distance) => strengthAt(distance, 10, 50));
  assert.deepEqual(half.slice(0, 3), [1, 1, 1]);
  assert.ok(half[3] < 0.6 && half[4] < 0.05);
});

test("where a stroke crosses itself it is no stronger", () => {
  const brush = { size: 20, hardness: 0 };
  const once = painted(
    [
      [
        [10, 20],
        [50, 20],
      ],
    ],
    brush,
  );
  const twice = painted(
    [
      [
        [10, 20],
        [50, 20],
      ],
      [
        [50, 20],
        [10, 20],
      ],
    ],
    brush,
  );
  assert.deepEqual(twice.cover, once.cover);
  assert.ok(once.at(30, 20) > once.at(30, 24) && once.at(30, 24) > once.at(30, 28));
  assert.equal(once.at(30, 31), 0);
});

test("what lies outside the picture is left out", () => {
  const { rects, at } = painted(
    [
      [
        [-5, -5],
        [3, 3],
      ],
      [
        [200, 200],
        [210, 200],
      ],
    ],
    { size: 10, hardness: 100 },
  );
  assert.deepEqual(rects[0], { x: 0, y: 0, width: 10, height: 10 });
  assert.equal(rects[1].width * rects[1].height, 0);
  assert.ok(at(0, 0) === 255 && at(12, 12) === 0);
  assert.deepEqual(around(null, rects[0]), rects[0]);
  assert.deepEqual(around(rects[0], rects[1]), rects[0]);
  assert.deepEqual(around(rects[0], { x: 20, y: 5, width: 2, height: 30 }), {
    x: 0,
    y: 0,
    width: 22,
    height: 35,
  });
});

test("a smoothed edge is not grey, a soft one is", () => {
  for (const [hardness, expected] of [
    [100, false],
    [50, true],
  ]) {
    const { cover } = painted(
      [
        [
          [15, 15],
          [40, 25],
        ],
      ],
      { size: 20, hardness },
    );
    assert.equal(hasGrey(cover, SIZE.width, SIZE.height), expected);
  }
});

test("a mask's file is read as the server reads it", () => {
  const values = (...pixels) => [...valuesOf(new Uint8ClampedArray(pixels.flat()))];
  const clear = [0, 0, 0, 0];
  assert.deepEqual(values([0, 0, 0, 255], [90, 90, 90, 255], [0, 0, 200, 255]), [0, 90, 200]);
  assert.deepEqual(values(clear, [0, 0, 0, 90], [0, 0, 0, 255]), [0, 90, 255]);
  assert.deepEqual(values(clear, [0, 0, 0, 255], [255, 255, 255, 255]), [0, 0, 255]);
});
