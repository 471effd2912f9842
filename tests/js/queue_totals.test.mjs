import assert from "node:assert/strict";
import { test } from "node:test";
import { totalText } from "../../webbduck_gradio/ui/queue/totals.js";

const job = (more = {}, request = {}) => ({
  kind: "generate",
  status: "queued",
  seconds_left: null,
  seconds_per_step: null,
  continues_at: null,
  ...more,
  request: { base_model: "a", width: 64, height: 64, steps: 10, num_images: 1, ...request },
});
const measured = job({ status: "completed", seconds_per_step: 6 });
const total = (jobs, recent = [measured], now = 100) =>
  totalText({ jobs, recent, suspended: [], time: 100 }, now);

test("waiting jobs take their steps, images and pixels", () => {
  assert.equal(total([job()]), "", "one job alone is no list");
  assert.equal(total([job(), job()]), "2 jobs, about 2 min");
  assert.equal(total([job(), job({}, { num_images: 3 })]), "2 jobs, about 4 min");
  assert.equal(total([job(), job({}, { width: 128 })]), "2 jobs, about 3 min");
  assert.equal(total([job(), job({ continues_at: { image: 0, step: 5 } })]), "2 jobs, about 1 min");
  assert.equal(total([job(), job({}, { image: "x", strength: 0.5 })]), "2 jobs, about 1 min");
});

test("the running job's own estimate runs down, and never below nothing", () => {
  const running = job({ status: "running", seconds_left: 90 });
  assert.equal(total([running, job()], [measured], 130), "2 jobs, about 2 min");
  assert.equal(total([running, job()], [measured], 1000), "2 jobs, about 1 min");
});

test("what is not known is said", () => {
  assert.equal(total([job(), job()], []), "2 jobs");
  assert.equal(total([job(), job({}, { base_model: "b" })]), "2 jobs, more than 1 min");
  assert.equal(total([job(), { ...job(), kind: "caption" }]), "2 jobs, about 1 min");
});
