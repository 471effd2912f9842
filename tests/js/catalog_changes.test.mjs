// The catalog put together from what a page has and a difference.
import assert from "node:assert/strict";
import { test } from "node:test";
import { changedCatalog, changedList } from "../../webbduck_gradio/ui/shared/catalog_changes.js";

const named = (...names) => names.map((name) => ({ name, weight: 1 }));

test("entries come, go and change at their places", () => {
  const before = named("a", "b", "c", "d");
  const now = [{ name: "0", weight: 1 }, ...named("a"), { name: "c", weight: 2 }, ...named("d", "e")];
  const change = {
    gone: ["b"],
    put: [
      [0, now[0]],
      [2, now[2]],
      [4, now[4]],
    ],
    count: 5,
  };
  assert.deepEqual(changedList(before, change), now);
  assert.deepEqual(changedList(before, { gone: [], put: [], count: 4 }), before);
});

test("a whole list is taken as it is", () => {
  assert.deepEqual(changedList(undefined, named("x")), named("x"));
});

test("what does not belong to what the page has is refused", () => {
  const none = { gone: [], put: [], count: 1 };
  assert.equal(changedList(named("a", "b"), none), null);
  assert.equal(changedCatalog(undefined, { checkpoints: [], loras: none, embeddings: [] }), null);
  const before = { checkpoints: named("x"), loras: [], embeddings: [] };
  const change = { checkpoints: none, loras: [], embeddings: [], problems: ["p"] };
  assert.deepEqual(changedCatalog(before, change), { ...before, problems: ["p"] });
});
