// Which entries of a list a typed text finds.
import assert from "node:assert/strict";
import { test } from "node:test";

const { byGroup, likeliest, matching } = await import("../../webbduck_gradio/ui/shared/choices.js");
const choices = [
  { value: "", label: "Off" },
  { value: 1, label: "Heun 2", group: "Second order" },
  { value: 2, label: "Heun", group: "Second order" },
  { value: 3, label: "Déjà Heun", group: "Others" },
];
const found = (text) => matching(choices, text).map(({ label }) => label);

test("every word is in the label or the group, in any case and without accents", () => {
  assert.deepEqual(found(""), ["Off", "Heun 2", "Heun", "Déjà Heun"]);
  assert.deepEqual(found("  HEUN order "), ["Heun 2", "Heun"]);
  assert.deepEqual(found("deja"), ["Déjà Heun"]);
  assert.deepEqual(found("heun off"), []);
});

test("the entry of this name is meant, else one that begins with it, else the first", () => {
  assert.equal(likeliest(choices, "heun"), 2);
  assert.equal(likeliest(choices, "heu"), 1);
  assert.equal(likeliest(choices, "un"), 0);
  assert.equal(likeliest([], "un"), -1);
});

test("groups keep the order of the entries", () => {
  assert.deepEqual(
    byGroup(choices).map(([group, entries]) => [group, entries.length]),
    [
      ["", 1],
      ["Second order", 2],
      ["Others", 1],
    ],
  );
});
