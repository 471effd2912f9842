// @ts-check
// The lightbox's actions on a picture, by what they are for.
import { linkTo } from "../shared/address.js";
import { copyText } from "../shared/clipboard.js";
import { h } from "../shared/dom.js";
import { hiresSettings } from "../shared/hires.js";
import { icon } from "../shared/icons.js";
import { imageOf } from "./images.js";

/** `act(name, more)` performs an action; `upscale` is the button of the upscale menu. */
export function makeActions(act, upscale) {
  const action = (text, title, onclick, more = "") =>
    h("button", { type: "button", class: `g-act ${more}`, title, onclick }, text);
  const group = (name, ...buttons) =>
    h(
      "div",
      { class: "g-acts", role: "group", "aria-label": name },
      h("span", { class: "g-acts-name", "aria-hidden": "true" }, name),
      buttons.flat(),
    );

  /** What works on a file that cannot be read, too. `more`: further buttons of the group. */
  const ofFile = (id, ...more) => [
    group(
      "File",
      h(
        "a",
        {
          class: "g-act",
          href: imageOf({ id }),
          download: id.split("/").at(-1),
          title: "Download the original file with its metadata",
        },
        icon("download"),
        "Download",
      ),
      ...more,
    ),
    h(
      "div",
      { class: "g-acts-apart" },
      action(
        [icon("trash"), "Delete"],
        "Move it to the trash (Delete)",
        () => act("delete"),
        "danger delete",
      ),
    ),
  ];

  /** All actions on a picture with these details. */
  const all = (found) => [
    group(
      "Reuse",
      found.reusable
        ? [
            action(
              "Use all settings",
              "Load all settings into the Studio, seed included",
              () => act("reuse", { what: "all" }),
              "primary",
            ),
            action("Use only the prompt", "Load only the prompts into the Studio", () =>
              act("reuse", { what: "prompt" }),
            ),
            action("Regenerate", "Generate again with the same settings and seed", () =>
              act("make", { what: "again" }),
            ),
            action("Vary", "Generate with the same settings and a new seed", () =>
              act("make", { what: "vary" }),
            ),
          ]
        : [],
      action("Caption", "Caption the picture", () => act("make", { what: "caption" })),
    ),
    group(
      "Edit",
      action("To img2img", "Use it as the Studio's input picture", () => act("send", { purpose: "img2img" })),
      action("To inpaint", "Use it as the Studio's input picture and paint a mask", () =>
        act("send", { purpose: "inpaint" }),
      ),
      action("To outpaint", "Use it as the Studio's input picture and extend it", () =>
        act("send", { purpose: "outpaint" }),
      ),
    ),
    group(
      "Enlarge",
      upscale,
      found.exact
        ? action(
            "Hires fix",
            "Generate again and redraw it larger, with the Studio's settings of the hires fix, or the " +
              "checkpoint's",
            () => act("make", { what: "hires", settings: hiresSettings() }),
          )
        : [],
    ),
    ...ofFile(
      found.id,
      action([icon("copy"), "Copy"], "Copy the picture to the clipboard", (event) =>
        act("copy", { button: event.currentTarget }),
      ),
      action(
        [icon("link"), "Copy link"],
        "Copy the address of this picture, for whoever has access to this studio",
        (event) => copyText(linkTo(found.id), event.currentTarget),
      ),
    ),
  ];
  return { all, ofFile };
}
