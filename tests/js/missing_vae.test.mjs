// Which checkpoint of the form needs a VAE that was not chosen.
import assert from "node:assert/strict";
import { test } from "node:test";
import { needsVae } from "../../webbduck_gradio/ui/shared/missing_vae.js";

const checkpoints = [
  { name: "whole", has_vae: true },
  { name: "bare", has_vae: false },
];
const form = { base_model: "whole", second_pass_model: "", hires_scale: null, hires_model: "", vae: "" };

for (const [title, changes, expected] of [
  ["all have their own", {}, null],
  ["the first pass", { base_model: "bare" }, "bare"],
  ["the second pass", { second_pass_model: "bare" }, "bare"],
  ["the hires pass", { hires_scale: 2, hires_model: "bare" }, "bare"],
  ["a checkpoint for a hires pass that is off", { hires_model: "bare" }, null],
  ["a VAE was chosen", { base_model: "bare", vae: "mine" }, null],
  ["a checkpoint that is gone", { base_model: "nothing" }, null],
]) {
  test(title, () => assert.equal(needsVae({ ...form, ...changes }, checkpoints), expected));
}
