// Rules that the scripts and Python both know; tests/test_shared_rules.py holds Python to the same files.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { columnOf, isFavourite, termsOf } from "../../webbduck_gradio/ui/gallery/search_terms.js";
import { blockedReason, isCompatible } from "../../webbduck_gradio/ui/shared/lora_fit.js";
import { readNumber } from "../../webbduck_gradio/ui/shared/numbers.js";
import { imageIndex, imageSeed } from "../../webbduck_gradio/ui/shared/seeds.js";
import { conditionsOf, modeOf, secondPassKind } from "../../webbduck_gradio/ui/shared/settings.js";

const rules = (name) => JSON.parse(readFileSync(new URL(`../rules/${name}.json`, import.meta.url), "utf8"));

test("a search falls into these terms", () => {
  for (const [text, expected] of Object.entries(rules("search_terms").terms)) {
    const found = termsOf(text).map(({ name, without, exact, value }) => ({ name, without, exact, value }));
    assert.deepEqual(found, expected, text);
  }
});

test("each name means this column", () => {
  for (const [name, column] of Object.entries(rules("search_terms").columns)) {
    assert.equal(columnOf({ name }), column);
  }
});

test("these terms find favourites", () => {
  for (const [text, expected] of Object.entries(rules("search_terms").favourite)) {
    assert.equal(isFavourite(termsOf(text)[0]), expected, text);
  }
});

test("these LoRAs fit these checkpoints", () => {
  for (const { lora, checkpoint, compatible } of rules("lora_fit")) {
    assert.equal(isCompatible(lora, checkpoint), compatible, JSON.stringify([lora, checkpoint]));
    assert.equal(blockedReason(lora, { ...checkpoint, name: "b" }) === null, compatible);
  }
});

test("each picture of a batch has this seed", () => {
  for (const { index, image_seed, ...request } of rules("seeds")) {
    assert.equal(imageSeed(request, imageIndex(`2025-01-01_00-00-00/${index}.png`)), image_seed);
  }
});

test("a typed number means this", () => {
  const { numbers, whole_numbers, refused, refused_as_whole } = rules("numbers");
  for (const [table, whole] of [
    [numbers, false],
    [whole_numbers, true],
  ]) {
    for (const [text, value] of Object.entries(table)) {
      assert.deepEqual(readNumber(text, whole), { value }, text);
    }
  }
  for (const [table, whole] of [
    [refused, false],
    [refused_as_whole, true],
  ]) {
    for (const [text, problem] of Object.entries(table)) {
      assert.deepEqual(readNumber(text, whole), { problem }, text);
    }
  }
});

test("these conditions hold for these requests", () => {
  const tables = rules("conditions");
  for (const { request, mode, arch, kind, hold } of tables.cases) {
    assert.equal(modeOf(request, tables), mode, JSON.stringify(request));
    assert.equal(secondPassKind(request, arch, tables), kind, JSON.stringify(request));
    const found = conditionsOf(request, arch, tables);
    assert.deepEqual(
      Object.keys(found).filter((name) => found[name]),
      hold,
      JSON.stringify(request),
    );
  }
});
