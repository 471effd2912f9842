// @ts-check
// Says when a picture that was sent to be upscaled from the Gallery is done.
import { last, subscribe } from "../shared/bus.js";
import { toast } from "../shared/toast.js";
import { methodOf, ofGallery } from "../shared/upscale_jobs.js";

/** `open(id)` shows a picture. */
export function followUpscaling(open) {
  const asked = new Set();
  function check() {
    for (const job of last.get("jobs")?.recent ?? []) {
      if (!asked.delete(job.job_id)) continue;
      const { image, scale } = job.request;
      const name = image.split("/").at(-1);
      if (job.status === "completed") {
        toast(`${name} was upscaled ${scale}× with ${methodOf(job)}.`, () => open(job.images.at(-1)), "Show");
      } else if (job.error) toast(job.error);
    }
  }
  subscribe("jobs", check);
  subscribe("outcome", (value) => {
    if (value.what !== "upscale" || !value.job_id) return;
    asked.add(value.job_id);
    ofGallery.add(value.job_id);
    // It may have ended already; later, since the others that hear of it say that it is queued.
    queueMicrotask(check);
  });
}
