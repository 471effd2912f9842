// @ts-check
// The menu that upscales a picture: which upscaler, and how large the result is.
import { h } from "./dom.js";
import { number } from "./format.js";
import { getPref, setPref } from "./preferences.js";
import { menu } from "./widgets.js";

/**
 * `list()` answers what `ui/shared/upscaling.py` offers for the picture; `start({scale, upscaler})` submits
 * the job.
 *
 * @param {any} anchor
 * @param {{list: () => Promise<any>, start: (asked: {scale: number, upscaler: string}) => void}} options
 */
export function upscaleMenu(anchor, { list, start }) {
  menu(anchor, "Upscale", async (close) => {
    const found = await list();
    if (found.error) return [h("p", { class: "menu-empty", role: "alert" }, found.error)];
    const usable = found.upscalers.filter((each) => !each.reason).map((each) => each.name);
    const kept = getPref("upscaler");
    let chosen = usable.includes(kept) ? kept : usable[0];
    const upscaler = ({ name, reason }) =>
      h(
        "label",
        { class: "menu-check" },
        h("input", {
          type: "radio",
          name: "upscaler",
          checked: name === chosen,
          disabled: Boolean(reason),
          onchange: () => {
            chosen = name;
            setPref("upscaler", name);
          },
        }),
        h("span", {}, name, reason ? h("small", {}, reason) : null),
      );
    const result = (scale) => {
      const [width, height] = [found.width * scale, found.height * scale];
      const isTooLarge = width * height > found.most;
      return h(
        "button",
        {
          type: "button",
          class: "menu-item upscale-item",
          disabled: isTooLarge,
          title: isTooLarge ? `More than ${Math.round(found.most / 1e6)} megapixels` : null,
          onclick: () => {
            close();
            start({ scale, upscaler: chosen });
          },
        },
        h("b", {}, `${scale}×`),
        ` ${number(width)} × ${number(height)} px${isTooLarge ? ", too large" : ""}`,
      );
    };
    return [
      h("p", { class: "menu-title", "aria-hidden": "true" }, "Upscaler"),
      h(
        "div",
        { class: "menu-list", role: "radiogroup", "aria-label": "Upscaler" },
        found.upscalers.map(upscaler),
      ),
      h("hr"),
      found.scales.map(result),
    ].flat();
  });
}
