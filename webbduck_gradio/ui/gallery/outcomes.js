// @ts-check
// What came of the jobs that were asked for in the Gallery: a toast, and captions for the lightbox.
import { last, subscribe } from "../shared/bus.js";
import { openTab } from "../shared/tabs.js";
import { toast } from "../shared/toast.js";

const NAMES = {
  again: "Regeneration",
  vary: "Variation",
  upscale: "Upscaling",
  hires: "The hires pass",
  caption: "Captioning",
};

/** `box`: the lightbox. */
export function listenForOutcomes(box) {
  let seen = last.get("outcome")?.at;
  subscribe("outcome", (value) => {
    if (value.at === seen) return;
    seen = value.at;
    if (value.where === "gallery" && value.error) return toast(value.error);
    if (!value.what || !value.job_id) return;
    const showQueue = () => {
      box.dialog.close();
      openTab("queue");
    };
    const text = [`${NAMES[value.what]} is queued.`, ...(value.warnings ?? [])].join(" ");
    toast(text, showQueue, "Show the queue");
  });
  const read = new Set();
  subscribe("jobs", (state) => {
    for (const job of state.recent) {
      const caption = job.kind === "caption" && job.status === "completed" && job.result?.caption;
      if (caption && !read.has(job.job_id)) {
        read.add(job.job_id);
        box.captioned(job.request.image, caption);
      }
    }
  });
}
