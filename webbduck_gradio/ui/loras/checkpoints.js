// @ts-check
// A checkpoint's card.
import { button, h, put } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { architectureName } from "../shared/lora_fit.js";
import { bareName, originBadge } from "../shared/origins.js";
import { convertPart } from "./conversions.js";
import { makeDefaultsForm } from "./defaults_form.js";
import { badge, date, distilledBadge } from "./parts.js";

/**
 * The card of a checkpoint. Returns its `node`, and `update(checkpoint, isUsed, lists)`.
 *
 * @param {any} actions `save(changes, seen)` resolves to {error} if the server refused it; `useCurrent` saves
 *   the Studio's settings; `use(checkpoint)` selects it in the Studio
 */
export function makeCheckpointCard({ save, useCurrent, use }) {
  const node = h("article", {});
  const defaults = h("details", {}, h("summary", {}, "Defaults"));
  /** @type {ReturnType<typeof makeDefaultsForm> | null} */
  let form = null;
  let latest = null;
  let drawn = "";

  function addForm() {
    if (form) return;
    form = makeDefaultsForm({ save, useCurrent });
    form.update(latest.each, latest.lists);
    defaults.append(form.node);
  }
  defaults.addEventListener("toggle", addForm);

  function update(each, isUsed, lists) {
    const now = JSON.stringify([each, isUsed, lists]);
    if (now === drawn) return;
    drawn = now;
    latest = { each, lists };
    if (!each.reason) form?.update(each, lists);
    // Other programs' models, of which there may be hundreds, get their form when it is opened.
    if (!form && !each.reason && !each.origin) {
      addForm();
      defaults.open = true;
    }
    node.className = `card model${each.reason ? " unusable" : ""}`;
    node.setAttribute("aria-label", each.name);
    put(node, content(each, isUsed, use), each.reason ? null : defaults);
  }
  return { node, update };
}

/** All of a card but the form, which stays while it is in use. */
function content(each, isUsed, use) {
  const facts = [
    ["Prediction", each.prediction_type + (each.zero_snr ? ", zero terminal SNR" : "")],
    ["Native size", `${each.native_size} px`],
    ["Weights", each.dress.join("; ") || "unknown"],
    ["Size", bytes(each.size_bytes)],
    ["Date", date(each.modified)],
    ...(each.converted_from ? [["Converted from", each.converted_from]] : []),
    [
      "AutoV2",
      each.hash ??
        (each.layout === "diffusers" ? "none for a folder" : each.reason ? "not computed" : "being computed"),
    ],
  ];
  return [
    h("h3", { title: each.name }, bareName(each)),
    h(
      "p",
      { class: "badges" },
      originBadge(each),
      badge(architectureName(each)),
      badge(each.layout === "diffusers" ? "diffusers folder" : "single file"),
      each.from_hub ? badge("Hugging Face cache") : null,
      each.has_vae ? null : badge("no VAE"),
      distilledBadge(each),
    ),
    each.reason ? h("p", { class: "why" }, each.reason) : null,
    each.reason ? convertPart("checkpoint", each.name) : null,
    each.draws ? h("p", { class: "about" }, each.draws) : null,
    each.reason
      ? null
      : h(
          "div",
          { class: "actions" },
          button(
            isUsed
              ? "In use in the Studio"
              : each.arch === "sdxl-refiner"
                ? "Use for the second pass"
                : "Use in the Studio",
            () => use(each),
            { class: "use", disabled: isUsed },
          ),
        ),
    h(
      "dl",
      { class: "details" },
      facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
  ];
}
