import assert from "node:assert/strict";
import { test } from "node:test";
import { PanZoom, Pinch } from "../../webbduck_gradio/ui/shared/pan_zoom.js";

const zoomable = () => {
  let times = 0;
  const panZoom = new PanZoom({ least: 0.5, most: 8, changed: () => (times += 1) });
  return { panZoom, changes: () => times };
};

test("what is under the pointer stays there", () => {
  const { panZoom, changes } = zoomable();
  panZoom.set(2, 30, -10);
  const under = ([x, y]) => [(x - panZoom.left) / panZoom.scale, (y - panZoom.top) / panZoom.scale];
  const before = under([100, 60]);
  panZoom.zoomTo(3.5, 100, 60);
  assert.equal(panZoom.scale, 3.5);
  assert.deepEqual(under([100, 60]), before);
  assert.equal(changes(), 2);
});

test("no zoom leaves its limits, and at a limit nothing moves", () => {
  const { panZoom } = zoomable();
  panZoom.zoomTo(100, 10, 10);
  assert.equal(panZoom.scale, 8);
  const { left, top } = panZoom;
  panZoom.zoomTo(100, 70, 20);
  assert.deepEqual([panZoom.scale, panZoom.left, panZoom.top], [8, left, top]);
  panZoom.zoomTo(0, 0, 0);
  assert.equal(panZoom.scale, 0.5);
});

test("a picture that fits lies in the middle", () => {
  const { panZoom } = zoomable();
  panZoom.fit(200, 100, 432, 300, 32);
  assert.deepEqual([panZoom.scale, panZoom.left, panZoom.top], [2, 16, 50]);
  panZoom.moveBy(4, -5);
  assert.deepEqual([panZoom.left, panZoom.top], [20, 45]);
});

test("two fingers zoom around the point between them and pan with it", () => {
  const { panZoom } = zoomable();
  const pinch = new Pinch(panZoom, ({ x, y }) => [x, y]);
  assert.equal(pinch.down({ pointerId: 1, x: 100, y: 100 }), false);
  assert.equal(pinch.move({ pointerId: 1, x: 110, y: 100 }), false);
  assert.deepEqual([panZoom.scale, panZoom.left, panZoom.top], [1, 0, 0]);
  assert.equal(pinch.down({ pointerId: 2, x: 210, y: 100 }), true);
  assert.equal(pinch.move({ pointerId: 2, x: 310, y: 100 }), true);
  // The middle of the fingers was over (160, 100) of the picture and is now at (210, 100) of the view.
  assert.deepEqual([panZoom.scale, panZoom.left, panZoom.top], [2, -110, -100]);
});

test("after a pinch the remaining finger does nothing until it is lifted", () => {
  const { panZoom, changes } = zoomable();
  const pinch = new Pinch(panZoom, ({ x, y }) => [x, y]);
  pinch.down({ pointerId: 1, x: 0, y: 0 });
  pinch.down({ pointerId: 2, x: 100, y: 0 });
  assert.equal(pinch.up({ pointerId: 2 }), true);
  assert.equal(pinch.move({ pointerId: 1, x: 50, y: 50 }), true);
  assert.equal(changes(), 0);
  assert.equal(pinch.up({ pointerId: 1 }), true);
  assert.deepEqual([pinch.isPressed, pinch.isPinching], [false, false]);
  assert.equal(pinch.up({ pointerId: 1 }), false);
});
