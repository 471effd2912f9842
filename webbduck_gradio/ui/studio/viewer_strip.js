// @ts-check
// Thumbnails of the batch, below the viewer.
import { h, put } from "../shared/dom.js";
import { imageIndex, imageSeed } from "../shared/seeds.js";
import { thumbUrl } from "../shared/urls.js";
import { variantName } from "../shared/variants.js";

/**
 * Returns the function that draws {job, images, copies, pending, selected} or null; `copies` is the set of
 * those images that are upscaled ones. `pick(job, id)` selects a picture.
 */
export function makeStrip(strip, pick) {
  let stripKey = "";
  strip.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next =
      by &&
      [...strip.querySelectorAll("button")][
        [...strip.querySelectorAll("button")].indexOf(document.activeElement) + by
      ];
    if (next) {
      event.preventDefault();
      next.focus();
      next.click();
    }
  });

  return function drawStrip(shown) {
    if (!shown) {
      put(strip);
      stripKey = "";
      return;
    }
    const { job, images, copies, pending, selected } = shown;
    const key = [...images, pending].join();
    if (images.length + pending < 2) {
      put(strip);
      stripKey = "";
    } else if (stripKey !== key) {
      stripKey = key;
      put(
        strip,
        ...images.map((id) =>
          h(
            "button",
            {
              type: "button",
              class: copies.has(id) ? "copy" : null,
              "data-id": id,
              "aria-label":
                `Picture ${imageIndex(id) + 1} of ${job.request.num_images ?? 1}, ` +
                (copies.has(id) ? variantName(id) : `seed ${imageSeed(job.request, imageIndex(id))}`),
              onclick: () => pick(job, id),
            },
            h("img", { src: thumbUrl(id), alt: "", loading: "lazy" }),
          ),
        ),
        ...Array.from({ length: pending }, () => h("span", { class: "pending", "aria-hidden": "true" })),
      );
    }
    for (const each of strip.querySelectorAll("button")) {
      each.setAttribute("aria-pressed", String(each.dataset.id === selected));
    }
  };
}
