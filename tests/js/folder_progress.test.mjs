import assert from "node:assert/strict";
import { test } from "node:test";
import { isPicture, progressOf } from "../../webbduck_gradio/ui/studio/folder_progress.js";

test("only pictures that can be input pictures are taken", () => {
  assert.ok(isPicture({ type: "image/webp" }) && isPicture({ type: "image/jpeg" }));
  assert.ok(!isPicture({ type: "image/gif" }) && !isPicture({ type: "" }));
});

test("how far a batch is says what became of every picture", () => {
  const jobs = new Map([
    ["a", "completed"],
    ["b", "running"],
    ["c", "failed"],
  ]);
  const batch = { files: [1, 2], total: 8, jobs, skipped: 3, isStopped: false };
  assert.equal(
    progressOf(batch),
    "1 of 8 done, 1 in the queue, 2 waiting for a place in it, 3 skipped, whose results are there already, " +
      "1 not completed.",
  );
  assert.match(progressOf({ ...batch, isStopped: true }), /2 not sent/);
});
