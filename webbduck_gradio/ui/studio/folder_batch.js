// @ts-check
// Many pictures by img2img: one job for each, with the form's settings, as the queue has places for them.
import { last, subscribe } from "../shared/bus.js";
import { button, h, listenerSignal, put } from "../shared/dom.js";
import { many } from "../shared/format.js";
import { listedJobs } from "../shared/jobs.js";
import { callServer } from "../shared/server_call.js";
import { openTab } from "../shared/tabs.js";
import * as form from "./form.js";
import { ENDED, count, isDone, progressOf } from "./folder_progress.js";
import { submitValues } from "./submitter.js";

const FULL = "The queue is full";
const SEEDS = 2 ** 32;

/** @typedef {import("./folder_progress.js").Batch} Batch */

/** @type {Batch | null} */
let batch = null;
let draw = () => {};
let goOn = () => {};

/** Offer to draw from each of these pictures; they are added to what waits already. */
export function takeFiles(files) {
  openTab("studio");
  if (batch?.values && !isDone(batch)) {
    batch.files.push(...files);
    batch.total += files.length;
  } else {
    batch = {
      files: [...files],
      total: files.length,
      jobs: new Map(),
      skipped: 0,
      problem: "",
      values: null,
      isStopped: false,
    };
  }
  draw();
  goOn();
}

/** @param {GradioView} view */
export default function start({ element, server, upload }) {
  const panel = element.querySelector(".folder-batch");
  const title = h("h4", {});
  const text = h("p", { role: "status" });
  const problem = h("p", { class: "problem", role: "alert" });
  const bar = h("progress", { class: "share-bar", "aria-label": "Pictures that are done" });
  const begin = button("", () => run(), { class: "primary" });
  const cancel = button("Cancel all", () => stop());
  const close = button("Close", () => finish());
  put(panel, title, text, bar, problem, h("div", { class: "batch-acts" }, begin, cancel, close));
  let isSending = false;
  let waitBelow = Infinity;

  draw = () => {
    panel.hidden = !batch;
    if (!batch) return;
    const isBegun = batch.values !== null;
    title.textContent = `Img2img of ${many(batch.total, "picture")}`;
    text.textContent = isBegun
      ? progressOf(batch)
      : "A job for each picture, with the form’s settings. Pictures that were made with them are skipped.";
    problem.textContent = batch.problem;
    bar.hidden = !isBegun;
    bar.max = batch.total;
    bar.value = batch.skipped + count(batch, ...ENDED);
    begin.textContent = `Draw ${many(batch.total, "picture")}`;
    begin.hidden = isBegun;
    cancel.hidden = !isBegun || isDone(batch);
    close.hidden = isBegun && !isDone(batch);
  };

  function run() {
    if (!batch) return;
    const values = { ...form.typedState(), mask: "" };
    // One seed for all, and the same one is shown in the form: with it the batch can be gone on with later.
    if (typeof values.seed !== "number" || values.seed < 0) {
      values.seed = Math.floor(Math.random() * SEEDS);
      form.set("seed", values.seed);
    }
    batch.values = values;
    waitBelow = Infinity;
    draw();
    cancel.focus();
    goOn();
  }

  async function stop() {
    if (!batch) return;
    batch.isStopped = true;
    draw();
    const ids = [...batch.jobs].filter(([, status]) => !ENDED.includes(status)).map(([id]) => id);
    const { error } = await callServer(() => server.webbduck_cancel_folder(ids));
    if (error && batch) batch.problem = error;
    draw();
  }

  function finish() {
    batch = null;
    draw();
  }

  /** Send the first file; whether the next one can follow at once. */
  async function sendOne(of) {
    const file = of.files[0];
    const stored = await callServer(async () => {
      const sent = await upload(file);
      return server.webbduck_folder({ path: sent.path, name: file.name, values: of.values });
    }, `${file.name} could not be uploaded.`);
    if (of.isStopped) return false;
    if (stored.error) return fail(of, stored.error);
    if (stored.existing) {
      of.files.shift();
      of.skipped += 1;
      return true;
    }
    const outcome = await submitValues("generate", { ...of.values, image: stored.id });
    if (outcome.job_id) {
      of.files.shift();
      of.jobs.set(outcome.job_id, "queued");
      return true;
    }
    if (!outcome.error?.startsWith(FULL)) return fail(of, `${file.name}: ${outcome.error}`);
    // The list may lag behind the answer: at least one place must have become free.
    waitBelow = Math.max(1, last.get("jobs")?.queued_count ?? 1);
    return false;
  }

  function fail(of, error) {
    of.problem = error;
    of.isStopped = true;
    return false;
  }

  goOn = async () => {
    if (isSending || !batch?.values) return;
    isSending = true;
    while (batch?.values && !batch.isStopped && batch.files.length) {
      const goesOn = await sendOne(batch);
      draw();
      if (!goesOn) break;
    }
    isSending = false;
    draw();
  };

  subscribe("jobs", (state) => {
    if (!batch?.values) return;
    for (const job of listedJobs(state)) {
      if (batch.jobs.has(job.job_id)) batch.jobs.set(job.job_id, job.status);
    }
    draw();
    if (state.queued_count < waitBelow) {
      waitBelow = Infinity;
      goOn();
    }
  });
  window.addEventListener(
    "beforeunload",
    (event) => {
      if (batch?.files.length && !batch.isStopped) event.preventDefault();
    },
    { signal: listenerSignal("folder_batch") },
  );
  draw();
}
