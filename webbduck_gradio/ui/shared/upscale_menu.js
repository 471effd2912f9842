// @ts-check
// The menu that upscales a picture: which upscaler, in which tiles, and how large the result is.
import { h } from "./dom.js";
import { number } from "./format.js";
import { bareName, originBadge } from "./origins.js";
import { getPref, setPref } from "./preferences.js";
import { openRedraw } from "./redraw_dialog.js";
import { menu } from "./widgets.js";

/** Radio buttons as a part of the menu; `pick(value)` is called with the value of the chosen one. */
function radios(title, name, options, chosen, pick) {
  const radio = ({ value, text, reason, origin }) =>
    h(
      "label",
      { class: "menu-check" },
      h("input", {
        type: "radio",
        name,
        checked: value === chosen,
        disabled: Boolean(reason),
        onchange: () => pick(value),
      }),
      h("span", {}, text, reason ? h("small", {}, reason) : null),
      originBadge({ origin }),
    );
  return [
    h("p", { class: "menu-title", "aria-hidden": "true" }, title),
    h("div", { class: `menu-list ${name}s`, role: "radiogroup", "aria-label": title }, options.map(radio)),
  ];
}

/**
 * `list()` answers what `ui/shared/upscaling.py` offers for the picture; `start(asked)` submits the job, with
 * {scale, upscaler, tile_size}, or with `detail` what the dialog asks for.
 *
 * @param {any} anchor
 * @param {{list: () => Promise<any>, start: (asked: any) => void}} options
 */
export function upscaleMenu(anchor, { list, start }) {
  menu(anchor, "Upscale", async (close) => {
    const found = await list();
    if (found.error) return [h("p", { class: "menu-empty", role: "alert" }, found.error)];
    const usable = found.upscalers.filter((each) => !each.reason).map((each) => each.name);
    const kept = getPref("upscaler");
    let chosen = usable.includes(kept) ? kept : usable[0];
    const keptTile = Number(getPref("upscalerTile"));
    let tile = found.tile_sizes.includes(keptTile) ? keptTile : 256;
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
            start({ scale, upscaler: chosen, tile_size: tile });
          },
        },
        h("b", {}, `${scale}×`),
        ` ${number(width)} × ${number(height)} px${isTooLarge ? ", too large" : ""}`,
      );
    };
    const upscalers = found.upscalers.map((each) => ({ ...each, value: each.name, text: bareName(each) }));
    const sizes = found.tile_sizes.map((size) => ({ value: size, text: `${size} px` }));
    return [
      radios("Upscaler", "upscaler", upscalers, chosen, (name) => {
        chosen = name;
        setPref("upscaler", name);
      }),
      radios("Tile size: smaller takes less memory", "upscaler-tile", sizes, tile, (size) => {
        tile = size;
        setPref("upscalerTile", String(size));
      }),
      h("hr"),
      found.scales.map(result),
      h(
        "button",
        {
          type: "button",
          class: "menu-item redraw-item",
          title: "Draw the details of the larger picture anew, tile by tile",
          onclick: () => {
            close();
            openRedraw(anchor, { found, upscaler: chosen, start });
          },
        },
        "With detail…",
      ),
    ].flat(2);
  });
}
