import assert from "node:assert/strict";
import { test } from "node:test";
import {
  MOST_FILES,
  MOST_PICTURES,
  filesIn,
  picturesOf,
} from "../../webbduck_gradio/ui/studio/folder_walk.js";

const picture = (name) => ({ name, type: "image/png" });
const entry = (path) => ({ fullPath: path, file: (resolve) => resolve(picture(path)) });

/** A folder whose reader gives its children two at a time, as browsers give a hundred. */
function folder(path, children) {
  const left = [...children];
  const readEntries = (resolve) => resolve(left.splice(0, 2));
  return { fullPath: path, isDirectory: true, createReader: () => ({ readEntries }) };
}

test("all files below the dropped entries are found, past those that cannot be read", async () => {
  const lost = { fullPath: "/a/lost.png", file: (_, reject) => reject(new Error("gone")) };
  const deep = folder("/a/b", [entry("/a/b/1.png"), entry("/a/b/2.png"), entry("/a/b/3.png")]);
  const { found, isMore, unread } = await filesIn([
    folder("/a", [deep, lost, entry("/a/4.png")]),
    entry("/5.png"),
  ]);
  assert.deepEqual(found.map((each) => each.path).sort(), [
    "/5.png",
    "/a/4.png",
    "/a/b/1.png",
    "/a/b/2.png",
    "/a/b/3.png",
  ]);
  assert.ok(!isMore);
  assert.equal(unread, 1);
});

test("a folder without end is left after so many files", async () => {
  const endless = { fullPath: "/a", isDirectory: true };
  endless.createReader = () => ({
    readEntries: (resolve) => resolve([entry("/a/1.png"), entry("/a/2.png")]),
  });
  const { found, isMore } = await filesIn([endless, entry("/b.png")]);
  assert.equal(found.length, MOST_FILES - 1); // the folder itself was looked at, too
  assert.ok(isMore);
});

test("pictures come in the order of their paths, without hidden files, and no more than are taken", () => {
  const named = (path, type = "image/png") => ({ path, file: { name: path, type } });
  const { files, others, left } = picturesOf([
    named("d/10.png"),
    named("d/2.png"),
    named("d/notes.txt", "text/plain"),
    named("d/._2.png"),
    named(".trash/1.png"),
    named("c/3.png"),
  ]);
  assert.deepEqual(
    files.map((each) => each.name),
    ["c/3.png", "d/2.png", "d/10.png"],
  );
  assert.deepEqual([others, left], [1, 0]);
  const many = picturesOf(Array.from({ length: MOST_PICTURES + 3 }, (_, at) => named(`d/${at}.png`)));
  assert.deepEqual([many.files.length, many.left], [MOST_PICTURES, 3]);
});
