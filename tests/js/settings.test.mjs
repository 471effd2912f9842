// What follows from the declarations of the settings: labels, values and summaries.
import assert from "node:assert/strict";
import { test } from "node:test";

const declared = {
  group: "more",
  control: "number",
  applies: [],
  choices: {},
  lines: {},
  listed_at_default: true,
};
globalThis.webbduckFacts = {
  conditions: {},
  second_pass_rules: [[[], null]],
  settings: {
    model: { ...declared, label: "Checkpoint", control: "model", lines: { queue: "{}", fold: "{}" } },
    width: { ...declared, label: "Width", unit: "px", lines: { queue: "{width} × {height} px" } },
    height: { ...declared, label: "Height", unit: "px" },
    switch: { ...declared, label: "Switch at", applies: ["two"], lines: { fold: "from {%}" } },
    amount: { ...declared, label: "Amount", default: 0, listed_at_default: false },
    format: {
      ...declared,
      label: "File format",
      control: "choice",
      choices: { png: "PNG", jpg: "JPEG" },
      default: "png",
      listed_at_default: false,
      lines: { fold: "{}" },
    },
  },
};
const { labelOf, summaryOf, valueText, withUnit } =
  await import("../../webbduck_gradio/ui/shared/settings.js");
const values = { model: "duck", width: 640, height: 480, switch: 0.8, amount: 0.25, format: "jpg" };

test("names and values are those of the declaration", () => {
  assert.deepEqual([labelOf("format"), labelOf("retry_of")], ["File format", "Retry of"]);
  assert.deepEqual([withUnit("width", 640), valueText("format", "jpg")], ["640 px", "JPEG"]);
  assert.equal(valueText("amount", 0.1 + 0.2), "0.3");
});

test("a folded group tells what applies and is not understood, names last", () => {
  assert.deepEqual(summaryOf("fold", values, { two: true }, "more"), [
    "from 80 %",
    "Amount 0.25",
    "JPEG",
    "duck",
  ]);
  const usual = { ...values, amount: 0, format: "png" };
  assert.deepEqual(summaryOf("fold", usual, { two: false }, "more"), ["duck"]);
});

test("a row of the queue keeps the form's order, and an emptied number is a question", () => {
  assert.deepEqual(summaryOf("queue", values, { two: true }), ["duck", "640 × 480 px"]);
  assert.deepEqual(summaryOf("queue", { ...values, width: "" }, { two: true }), ["duck", "? × 480 px"]);
});
