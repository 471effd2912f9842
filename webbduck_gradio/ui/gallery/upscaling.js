// @ts-check
// Says when a picture that was sent to be upscaled from the Gallery is done.
import { subscribe } from "../shared/bus.js";
import { toast } from "../shared/toast.js";

/** `open(id)` shows a picture. */
export function followUpscaling(open) {
  const asked = new Set();
  subscribe("outcome", (value) => {
    if (value.what === "upscale" && value.job_id) asked.add(value.job_id);
  });
  subscribe("jobs", (state) => {
    for (const job of state.recent) {
      if (!asked.delete(job.job_id)) continue;
      const { image, scale, upscaler } = job.request;
      const name = image.split("/").at(-1);
      if (job.status === "completed") {
        toast(`${name} was upscaled ${scale}× with ${upscaler}.`, () => open(job.images.at(-1)), "Show");
      } else if (job.error) toast(job.error);
    }
  });
}
