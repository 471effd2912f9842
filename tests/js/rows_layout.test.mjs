import assert from "node:assert/strict";
import { test } from "node:test";
import { dayHeading } from "../../webbduck_gradio/ui/gallery/days.js";
import { neighbourOf } from "../../webbduck_gradio/ui/gallery/neighbour.js";
import { layRows } from "../../webbduck_gradio/ui/gallery/rows_layout.js";

const COMMON = { days: [], width: 1000, height: 200, gap: 10, head: 30, foot: 20, heading: 40 };
const lay = (more) => layRows({ ...COMMON, ...more });
/** The pictures of all items: {x, y, width, height}. */
function boxes(layout, counts) {
  return counts.flatMap((_, item) => {
    const row = layout.rows.first.findLastIndex((first) => first <= item);
    let y = layout.rows.top[row] + COMMON.head;
    return layout.linesOf(item).flatMap((line) => {
      let x = layout.leftOf(item);
      const height = Math.floor(line.height);
      const cells = Array.from({ length: line.to - line.from }, (_each, at) => {
        const width = layout.widthOf(item, line.from + at, line);
        const box = { x, y, width, height };
        x += width + COMMON.gap;
        return box;
      });
      y += height + COMMON.gap;
      return cells;
    });
  });
}
const right = (box) => box.x + box.width;
const near = (a, b) => assert.ok(Math.abs(a - b) < 0.01, `${a} is not ${b}`);

test("runs of different shapes fill a row at one height, as wide as their shapes make them", () => {
  const counts = [1, 2, 1];
  const all = boxes(
    lay({
      counts,
      shapes: [
        [1, 1778],
        [2, 684],
        [1, 1000],
      ],
    }),
    counts,
  );
  assert.deepEqual(new Set(all.map((box) => box.y)), new Set([30]));
  assert.equal(new Set(all.map((box) => box.height)).size, 1);
  near(right(all.at(-1)), 1000);
  const high = all[3].width; // the square
  near(all[0].width, 1.778 * high);
  near(all[1].width, 0.684 * high);
  near(all[1].x, right(all[0]) + 10);
});

test("no row is much higher or lower than wanted, and none is wider than there is room", () => {
  let state = 7;
  const random = (most) => {
    state = (state * 48271) % 2147483647;
    return state % most;
  };
  const counts = Array.from({ length: 300 }, () => 1 + random(9));
  const shapes = counts.map((count) => [count, [1000, 1778, 562, 684, 1500][random(5)]]);
  for (const width of [340, 1000, 2400]) {
    for (const box of boxes(lay({ counts, shapes, width }), counts)) {
      assert.ok(box.height >= 0.7 * 200 - 1 && box.height <= 1.4 * 200, `${box.height} px high`);
      assert.ok(right(box) <= width + 0.01, `up to ${right(box)} of ${width} px`);
    }
  }
});

test("a long run takes lines of one height that leave few places open", () => {
  for (const [count, perLine] of [
    [8, 4],
    [12, 4],
    [10, 5],
    [9, 5],
  ]) {
    const layout = lay({ counts: [count], shapes: [[count, 1000]] });
    const lines = layout.linesOf(0);
    assert.deepEqual([lines[0].to, new Set(lines.map((line) => line.height)).size], [perLine, 1]);
    assert.equal(lines.at(-1).to, count);
  }
  const shapes = [
    [5, 1778],
    [3, 562],
    [6, 1000],
    [1, 300],
  ]; // a folder of another program
  const lines = lay({ counts: [15], shapes }).linesOf(0);
  assert.deepEqual(
    lines.map((line) => line.from),
    [0, ...lines.slice(0, -1).map((line) => line.to)],
  );
  assert.equal(lines.at(-1).to, 15);
});

test("the last row is not blown up, and what is extreme or unknown has a cell of bounds", () => {
  const [box] = boxes(lay({ counts: [1], shapes: [[1, 1000]] }), [1]);
  assert.deepEqual(box, { x: 0, y: 30, width: 200, height: 200 });
  const counts = [1, 1, 1];
  const all = boxes(
    lay({
      counts,
      shapes: [
        [1, 50],
        [1, 4000],
      ],
    }),
    counts,
  );
  near(all[0].width / all[2].width, 0.25);
});

test("a day begins a row below its heading, and is as high as its pictures", () => {
  const layout = lay({
    counts: [1, 1, 1],
    shapes: [[3, 1000]],
    days: [
      [2, "2026-01-02"],
      [1, "2026-01-01"],
    ],
  });
  assert.deepEqual(layout.rows, { top: [40, 330], first: [0, 2] });
  assert.deepEqual(layout.days, [
    { day: "2026-01-02", top: 0, height: 290, from: 0, to: 2 },
    { day: "2026-01-01", top: 290, height: 290, from: 2, to: 3 },
  ]);
  assert.equal(layout.height, 580);
  assert.equal(lay({ counts: [], shapes: [] }).height, 0);
});

test("what a day is called", () => {
  const now = new Date(2026, 0, 1, 0, 30);
  assert.deepEqual(
    ["2026-01-01", "2025-12-31", "2025-11-25", "2026-02-03"].map((day) => dayHeading(day, now)),
    ["Today", "Yesterday", "Tuesday 25 November 2025", "Tuesday 3 February"],
  );
});

test("arrow keys lead to the next cell, up and down to the nearest one of the next row", () => {
  const cell = (left, top, width) => ({ left, top, width, height: 100 });
  const rows = [
    cell(0, 0, 300),
    cell(310, 0, 90),
    cell(0, 130, 100),
    cell(110, 130, 100),
    cell(220, 130, 180),
  ];
  const steps = (key) => rows.map((_, here) => neighbourOf(rows, here, key));
  assert.deepEqual(steps("ArrowRight"), [1, 2, 3, 4, -1]);
  assert.deepEqual(steps("ArrowLeft"), [-1, 0, 1, 2, 3]);
  assert.deepEqual(steps("ArrowDown"), [3, 4, -1, -1, -1]);
  assert.deepEqual(steps("ArrowUp"), [-1, -1, 0, 0, 1]);
  assert.equal(neighbourOf(rows, 0, "Enter"), -1);
});
