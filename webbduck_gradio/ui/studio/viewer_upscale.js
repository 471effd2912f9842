// @ts-check
// Upscaling the picture in the viewer.
import { h } from "../shared/dom.js";
import { toast } from "../shared/toast.js";
import { menu } from "../shared/widgets.js";

/** `start(scale)` submits the job; `failed(job)` is called if it ends without an image. */
export function makeUpscale(button, { start, failed }) {
  const upscaled = new Map();
  let upscaling = null;
  /** Id of a picture's upscaled image if there is one, else its own. */
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
        `Upscale ${scale}×`,
      ),
    ),
  );
  function followJobs(jobs) {
    const job = upscaling && [...jobs.jobs, ...jobs.recent].find((each) => each.job_id === upscaling);
    if (!job || ["queued", "running"].includes(job.status)) return;
    upscaling = null;
    if (job.status !== "completed") return failed(job);
    upscaled.set(job.request.image, job.images.at(-1));
    toast("The upscaled image is shown; use Compare to see the original.");
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
