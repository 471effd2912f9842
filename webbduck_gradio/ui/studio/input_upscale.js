// @ts-check
// Upscaling the input picture: the button with its menu, the job while it runs, and what came of it.
import { subscribe } from "../shared/bus.js";
import { linkTo } from "../shared/address.js";
import { button, h, put } from "../shared/dom.js";
import { callServer } from "../shared/server_call.js";
import { upscaleMenu } from "../shared/upscale_menu.js";
import { thumbUrl } from "../shared/urls.js";
import { upscalingHeadline } from "./viewer_upscale.js";

/**
 * `image()` is the input picture's id, `use(id)` takes a gallery picture as the input picture, `fail(text)`
 * shows an error. Answers the button and the box of the job.
 *
 * @param {any} options
 */
export function makeInputUpscale({ server, trigger, image, use, fail }) {
  const opener = button("Upscale", null, {
    class: "upscale-input",
    title: "Save an upscaled copy in the gallery",
  });
  const box = h("div", { class: "caption-box upscale-box", role: "status" });
  let asked = null;
  upscaleMenu(opener, {
    list: () => callServer(() => server.webbduck_upscalers(image())),
    start: (wanted) => trigger("upscale", { ...wanted, image: image() }),
  });
  subscribe("outcome", (value) => {
    if (value.where !== "input" || !value.upscaling) return;
    asked = value.upscaling;
    put(box, h("p", {}, ["Queued.", ...(value.notes ?? [])].join(" ")));
  });
  subscribe("jobs", (state) => {
    const job =
      asked && [...state.jobs, ...state.suspended, ...state.recent].find((each) => each.job_id === asked);
    if (!job) return;
    if (["queued", "running", "suspended"].includes(job.status)) {
      const cancel = button("Cancel", () => trigger("cancel_upscale", { job_id: job.job_id }));
      const text = job.status === "running" ? upscalingHeadline(job, job.headline) : job.headline;
      return put(box, h("p", {}, text), cancel);
    }
    asked = null;
    const [id] = job.images;
    if (!id) {
      put(box);
      return job.status === "cancelled" ? undefined : fail(job.error ?? job.headline);
    }
    put(
      box,
      h(
        "a",
        { href: linkTo(id), title: "Show it in the gallery" },
        h("img", { src: thumbUrl(id), alt: "Upscaled copy" }),
      ),
      h("p", {}, `Upscaled ${job.request.scale}×; saved in the gallery.`),
      button("Use as input picture", () => {
        put(box);
        use(id);
      }),
      button("Dismiss", () => put(box)),
    );
  });
  return { opener, box };
}
