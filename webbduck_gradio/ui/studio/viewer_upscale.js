// @ts-check
// Upscaling the picture in the viewer: the menu, the job while it runs, and the upscaled copies.
import { subscribe } from "../shared/bus.js";
import { callServer } from "../shared/server_call.js";
import { toast } from "../shared/toast.js";
import { KINDS, methodOf, ofGallery } from "../shared/upscale_jobs.js";
import { upscaleMenu } from "../shared/upscale_menu.js";

const runOf = (id) => id.slice(0, Math.max(0, id.lastIndexOf("/")));

/**
 * `image()` is the picture to upscale, `start(asked)` submits its job; `changed()` is called when the copies
 * are known, `done(original, copy)` and `failed(job)` when a job ends that was submitted here.
 *
 * @param {any} button
 * @param {any} options
 */
export function makeUpscale(button, { server, image, start, changed, done, failed }) {
  upscaleMenu(button, { list: () => callServer(() => server.webbduck_upscalers(image())), start });
  const begun = new Set();
  /** Copies by original, for each run that was shown since the gallery last changed. */
  const runs = new Map();
  let shownRun = "";

  async function load(run) {
    if (!runs.has(run)) runs.set(run, {});
    const found = await callServer(() => server.webbduck_copies(run));
    if (found.lost) runs.delete(run);
    else if (JSON.stringify(runs.get(run)) !== JSON.stringify(found.copies)) {
      runs.set(run, found.copies);
      changed();
    }
  }
  subscribe("gallery", () => {
    for (const run of [...runs.keys()]) if (run !== shownRun) runs.delete(run);
    if (shownRun) load(shownRun);
  });

  /** Ids of the upscaled copies of a picture; they may be known only later. */
  function copiesOf(id) {
    const run = runOf(id);
    shownRun = run;
    if (!runs.has(run)) load(run);
    return runs.get(run)?.[id] ?? [];
  }

  async function followJobs(jobs) {
    for (const job of jobs.recent) {
      if (!begun.delete(job.job_id)) continue;
      if (job.status === "completed") {
        const run = runOf(job.request.image);
        if (!run) continue; // an input picture's own view says it
        await load(run);
        done(job.request.image, job.images.at(-1));
        if (ofGallery.has(job.job_id)) continue;
        toast(`Upscaled ${job.request.scale}× with ${methodOf(job)}; Compare shows the original.`);
      } else if (job.status !== "cancelled") failed(job);
    }
  }

  return {
    copiesOf,
    followJobs,
    /** The picture that a copy was made from; any other id unchanged. */
    originalOf: (id) =>
      Object.entries(runs.get(runOf(id)) ?? {}).find(([, copies]) => copies.includes(id))?.[0] ?? id,
    /** The waiting or running job that upscales one of these pictures, with a headline that says so. */
    jobOf(jobs, ids) {
      const job = jobs.jobs.find((each) => KINDS.includes(each.kind) && ids.includes(each.request.image));
      if (job) begun.add(job.job_id);
      return job ?? null;
    },
    /** The job was submitted; the stage shows it unless another one is shown there. */
    begin(id, jobs) {
      begun.add(id);
      if (jobs.active_job_id && jobs.active_job_id !== id) toast("The upscaling waits in the queue.");
      followJobs(jobs); // it may have ended already
    },
  };
}

/** "Upscaling 2×", with what the job says of itself. */
export function upscalingHeadline(job, headline) {
  const what = `Upscaling ${job.request.scale}×`;
  return headline === "Upscaling"
    ? what
    : `${what}: ${headline.replace(/^./, (first) => first.toLowerCase())}`;
}
