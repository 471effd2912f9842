// @ts-check
// A checkpoint's card.
import { button, h, put } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { architectureName } from "../shared/lora_fit.js";
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
  const form = makeDefaultsForm({ save, useCurrent });
  const defaults = h("details", { open: true }, h("summary", {}, "Defaults"), form.node);
  let drawn = "";

  function update(each, isUsed, lists) {
    const now = JSON.stringify([each, isUsed, lists]);
    if (now === drawn) return;
    drawn = now;
    if (!each.reason) form.update(each, lists);
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
    ["Size", bytes(each.size_bytes)],
    ["Date", date(each.modified)],
    [
      "AutoV2",
      each.hash ??
        (each.layout === "diffusers" ? "none for a folder" : each.reason ? "not computed" : "being computed"),
    ],
  ];
  return [
    h("h3", {}, each.name),
    h(
      "p",
      { class: "badges" },
      badge(architectureName(each)),
      badge(each.layout === "diffusers" ? "diffusers folder" : "single file"),
      each.from_hub ? badge("Hugging Face cache") : null,
      distilledBadge(each),
    ),
    each.reason ? h("p", { class: "why" }, each.reason) : null,
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
