// @ts-check
// Where models are put, and the models beside checkpoints and LoRAs (ui/loras/tools.py).
import { copyText } from "../shared/clipboard.js";
import { button, h } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { bareName, originBadge } from "../shared/origins.js";
import { convertPart } from "./conversions.js";
import { badge } from "./parts.js";

/** The path of a folder with a button that copies it. */
const folderRow = (path) =>
  h(
    "p",
    { class: "folder" },
    h("code", {}, path),
    button("Copy", (event) => copyText(path, event.currentTarget), {
      class: "quiet",
      "aria-label": `Copy the path ${path}`,
    }),
  );

/** The card that tells how to add a checkpoint; `openFolders` opens the dialog of other programs' folders. */
export const addModelCard = (folder, openFolders) =>
  h(
    "article",
    { class: "card add-model", "aria-label": "Add a model" },
    h("h3", {}, "Add a model"),
    h(
      "p",
      {},
      "Put an SDXL checkpoint into this folder, as a .safetensors file or a diffusers folder. " +
        "It appears here by itself, and the Studio can use it at once.",
    ),
    folderRow(folder),
    h("p", {}, "Models of ComfyUI, Forge and other programs can stay where they are."),
    h(
      "div",
      { class: "actions" },
      button("Model folders", (event) => openFolders(event.currentTarget), { "aria-haspopup": "dialog" }),
    ),
  );

/** The card of one kind of models. */
export const toolCard = ({ title, kind, about, folder, models }) =>
  h(
    "article",
    { class: "card tool-kind", "aria-label": title },
    h("h3", {}, title),
    h("p", { class: "about" }, about),
    folderRow(folder),
    models.length
      ? h(
          "ul",
          {},
          models.map(({ name, origin, detail, converted_from: source, size_bytes: size, reason }) =>
            h(
              "li",
              { title: origin ? name : null },
              h("b", {}, bareName({ name, origin })),
              originBadge({ origin }),
              detail ? badge(detail) : null,
              size ? badge(bytes(size)) : null,
              source ? badge(`converted from ${source}`) : null,
              reason ? h("span", { class: "why" }, reason) : null,
              reason ? convertPart(kind, name) : null,
            ),
          ),
        )
      : h("p", { class: "muted" }, "None yet."),
  );
