// Which settings are suggested for a distilled checkpoint or LoRA.
import assert from "node:assert/strict";
import { test } from "node:test";
import { aboutText, settingsText, suggestionFor } from "../../webbduck_gradio/ui/shared/distilled.js";

const lightning = {
  kind: "Lightning",
  by: "name",
  steps: 4,
  cfg: 1,
  sampler: "Euler",
  schedule: "SGM Uniform",
};
const lcm = { kind: "LCM", by: "header", steps: 1, cfg: 1.5, sampler: "LCM", schedule: "SGM Uniform" };
const catalog = {
  checkpoints: [
    { name: "plain", distilled: null },
    { name: "fast", distilled: lcm },
  ],
  loras: [
    { name: "ink", distilled: null },
    { name: "speed/Quick", distilled: lightning },
    { name: "odd", distilled: lightning, reason: "It is broken." },
  ],
};
const automatic = { Euler: "Uniform", LCM: "SGM Uniform" };
const form = (more) => ({
  base_model: "plain",
  prompt: "a duck",
  loras: "[]",
  steps: 30,
  cfg: 7,
  sampler: "Euler",
  schedule: "Automatic",
  ...more,
});
const nameOf = (more) => suggestionFor(form(more), catalog, automatic)?.name;

test("of the first distilled LoRA in use, else of the checkpoint", () => {
  const quick = (more) =>
    JSON.stringify([{ name: "ink" }, { name: "speed/Quick", weight: 1, on: true, ...more }]);
  assert.equal(nameOf({}), undefined);
  assert.equal(nameOf({ base_model: "fast" }), "fast");
  assert.equal(nameOf({ base_model: "fast", loras: quick() }), "speed/Quick");
  assert.equal(nameOf({ loras: quick({ on: false }) }), undefined);
  assert.equal(nameOf({ loras: quick({ weight: 0 }) }), undefined);
  assert.equal(nameOf({ loras: JSON.stringify([{ name: "odd", weight: 1 }]) }), undefined);
  assert.equal(nameOf({ prompt: "a duck <lora:quick:0.8>" }), "speed/Quick");
  assert.equal(nameOf({ prompt: "a duck <lora: QUICK>" }), "speed/Quick");
  assert.equal(nameOf({ prompt: "a duck <lora:quick:0>" }), undefined);
});

test("not where the settings are those already, Automatic included", () => {
  const { steps, cfg, sampler } = lcm;
  assert.equal(nameOf({ base_model: "fast", steps, cfg, sampler, schedule: "Automatic" }), undefined);
  assert.equal(nameOf({ base_model: "fast", steps, cfg, sampler, schedule: "Karras" }), "fast");
});

test("said in words", () => {
  assert.equal(settingsText(lightning), "4 steps, CFG 1, Euler, SGM Uniform");
  assert.equal(
    aboutText(lcm),
    "Looks like an LCM model (by its header), made for 1 step, CFG 1.5, LCM, SGM Uniform",
  );
});
