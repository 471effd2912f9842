import assert from "node:assert/strict";
import { test } from "node:test";
import { arranged } from "../../webbduck_gradio/ui/studio/grid_layout.js";

test("pictures are as large as the space allows", () => {
  assert.deepEqual(arranged(4, 1, 1000, 1000), { columns: 2, side: 496 });
  assert.deepEqual(arranged(4, 1, 2000, 400), { columns: 4, side: 400 });
  assert.deepEqual(arranged(3, 0.5, 1000, 600), { columns: 3, side: 300 });
  assert.deepEqual(arranged(2, 2, 800, 900), { columns: 1, side: 800 });
});
