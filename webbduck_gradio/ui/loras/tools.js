// @ts-check
// Where models are put, and the models beside checkpoints and LoRAs (ui/loras/tools.py).
import { copyText } from "../shared/clipboard.js";
import { button, h } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
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

/** The card that tells how to add a checkpoint. */
export const addModelCard = (folder) =>
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
          models.map(({ name, detail, converted_from: source, size_bytes: size, reason }) =>
            h(
              "li",
              {},
              h("b", {}, name),
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
