// @ts-check
// Upscaling the picture in the viewer.
import { h } from "../shared/dom.js";
import { toast } from "../shared/toast.js";
import { menu } from "../shared/widgets.js";

/** `start(scale)` makes the job, `failed(job)` is told of one that came to nothing. */
export function makeUpscale(button, { start, failed }) {
  const upscaled = new Map();
  let upscaling = null;
  /** The upscaled image of a picture, once it is there; else the picture. */
  const upscaledOf = (id) => upscaled.get(id) ?? id;
  menu(button, "Upscale", (close) =>
    [2, 4].map((scale) =>
      h(
        "button",
        {
          type: "button",
          class: "menu-item",
          onclick: () => {
            close();
            start(scale);
          },
        },
        `${scale} times as large`,
      ),
    ),
  );
  function followJobs(jobs) {
    const job = upscaling && [...jobs.jobs, ...jobs.recent].find((each) => each.job_id === upscaling);
    if (!job || ["queued", "running"].includes(job.status)) return;
    upscaling = null;
    if (job.status !== "completed") return failed(job);
    upscaled.set(job.request.image, job.images.at(-1));
    toast("The upscaled image is shown; Compare sets it beside the original.");
  }

  return {
    upscaledOf,
    followJobs,
    begin(id) {
      upscaling = id;
      toast("The image is being upscaled.");
    },
  };
}
