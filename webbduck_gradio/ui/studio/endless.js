// @ts-check
// Generates until stopped: the next job is queued when the one before is done, with the form's settings then.
import { last, subscribe } from "../shared/bus.js";
import { button, h, put } from "../shared/dom.js";
import { many } from "../shared/format.js";
import { listedJobs } from "../shared/jobs.js";
import { getStored, setStored, thisTab } from "../shared/preferences.js";
import { toast } from "../shared/toast.js";
import { menu } from "../shared/widgets.js";
import * as form from "./form.js";
import { submitValues } from "./submitter.js";

const SEEDS = 2 ** 32;

/**
 * A run of jobs: the id of the last one, the pictures that are done, and the fixed seed that the first one
 * had, if it had one, with the pictures that were asked for since; a new seed begins again.
 *
 * @typedef {{field: string, first: number, used: number}} Seed
 * @typedef {{job: string | null, done: number, seed: Seed | null}} Run
 */

/** @type {Run | null} */
let run = JSON.parse(getStored("endless", "null", thisTab));
/** Whether the answer to an order is awaited. */
let ordering = false;
/** Whether the run's job was listed. */
let seen = false;
let draw = () => {};

function keep() {
  setStored("endless", run && JSON.stringify(run), thisTab);
  draw();
}

/** The form's values for the next job. A fixed seed goes on after the last picture, as within a batch. */
function nextValues() {
  const values = { ...form.typedState() };
  // A variation has one seed for all pictures, and its own counts (`GenerationRequest.for_single_image`).
  const field = values.variation_strength ? "variation_seed" : "seed";
  const first = values[field];
  if (typeof first !== "number" || first < 0) run.seed = null;
  else {
    if (run.seed?.field !== field || run.seed.first !== first) run.seed = { field, first, used: 0 };
    values[field] = (first + run.seed.used) % SEEDS;
  }
  return values;
}

async function order() {
  ordering = true;
  seen = false;
  const values = nextValues();
  const outcome = await submitValues("generate", values);
  ordering = false;
  if (!run) return;
  if (!outcome.job_id) return end("the job was refused");
  run.job = outcome.job_id;
  if (run.seed) run.seed.used += Number(values.num_images) || 1;
  keep();
  goOn();
}

function end(why) {
  run = null;
  keep();
  toast(`Generating until stopped has ended: ${why}.`);
}

const WHY = {
  cancelled: "the job was cancelled",
  failed: "the job failed",
  interrupted: "the job was interrupted",
};

/** Queue the next job if the last one is done; end the run if it ended otherwise. */
function goOn() {
  if (!run || ordering || !form.state() || !last.has("jobs")) return;
  if (!run.job) return order();
  const job = listedJobs(last.get("jobs")).find(({ job_id }) => job_id === run.job);
  if (!job) return seen && end("the job is no longer in the list");
  seen = true;
  if (job.status in WHY) return end(WHY[job.status]);
  if (job.status !== "completed") return;
  run.done += job.images.length;
  run.job = null;
  order();
}

function begin() {
  run = { job: null, done: 0, seed: null };
  keep();
  goOn();
}

/** @param {GradioView} view */
export default function start({ element }) {
  const more = button("▾", null, { class: "more", "aria-label": "More ways to generate" });
  const stop = button("Stop", () => end("the job that was begun goes on, no other is queued"), {
    class: "stop",
    title: "Queue no further jobs; the one that was begun is finished",
  });
  const told = h("span", { class: "endless-part" });
  put(element.querySelector(".endless"), more, stop);
  menu(more, "Generate", (close) => [
    button(
      "Generate until stopped",
      () => {
        close();
        begin();
      },
      { class: "menu-item strong" },
    ),
    h(
      "p",
      { class: "menu-empty" },
      "Queues the next job when one is done, with the settings that are set then and another seed.",
    ),
  ]);
  draw = () => {
    const had = [more, stop].includes(document.activeElement);
    more.hidden = Boolean(run);
    stop.hidden = !run;
    if (had) (run ? stop : more).focus();
    const line = document.querySelector("#stage .statusline");
    if (line && told.parentNode !== line) line.prepend(told);
    told.textContent = run ? `Generating until stopped: ${many(run.done, "picture")}` : "";
  };
  draw();
  subscribe("jobs", () => {
    draw();
    goOn();
  });
  subscribe("form", goOn);
}
