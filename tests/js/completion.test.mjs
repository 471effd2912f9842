// Completion in the page; tests/models/test_completion.py holds Python to the same cases.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { complete } from "../../webbduck_gradio/ui/shared/completion_rules.js";
import { TagIndex } from "../../webbduck_gradio/ui/shared/tag_index.js";

const rules = JSON.parse(readFileSync(new URL("../rules/completion.json", import.meta.url), "utf8"));
const words = { ...rules.words, tags: new TagIndex(rules.tag_text) };

test("these texts are completed to this", () => {
  for (const { text, from, to, options } of rules.cases) {
    const found = complete(text.replace("¦", ""), text.indexOf("¦"), words);
    if (!options.length) {
      assert.equal(found, null, text);
      continue;
    }
    assert.deepEqual([found?.from, found?.to], [from, to], text);
    assert.deepEqual(found?.options, options, text);
  }
});

test("a kind that is switched off is not offered, and underscores can stay", () => {
  const kinds = (text, lists) => complete(text, text.length, lists)?.options.map(({ kind }) => kind) ?? [];
  assert.deepEqual([...new Set(kinds("ea", words))], ["embedding", "tag"]);
  assert.deepEqual(kinds("ea", { tags: words.tags }), ["tag"]);
  assert.deepEqual(kinds("__", { tags: words.tags }), []);
  const [{ label, insert }] =
    complete("long", 4, { tags: words.tags, keepsUnderscores: true })?.options ?? [];
  assert.deepEqual([label, insert], ["long hair", "long_hair, "]);
});

test("only a sign asks for completion, so that its first option is meant", () => {
  assert.equal(complete("__co", 4, words)?.opened, true);
  assert.equal(complete("long", 4, words)?.opened, false);
});
