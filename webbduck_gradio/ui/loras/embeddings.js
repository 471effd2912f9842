// @ts-check
// The LoRAs tab's cards of embeddings (textual inversion), whose names are put into a prompt.
import { publish } from "../shared/bus.js";
import { button, h, put } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { architectureName, blockedReason } from "../shared/lora_fit.js";
import { bareName, originBadge } from "../shared/origins.js";
import { openTab } from "../shared/tabs.js";
import { embeddingUrl } from "../shared/urls.js";
import { convertPart } from "./conversions.js";
import { badge, date, picture } from "./parts.js";

/** What names it in a prompt: the file's name, or all of it where another in some folder has that too. */
export function nameInPrompt({ name, trigger }, all) {
  const same = all.filter((each) => each.trigger.toLowerCase() === trigger.toLowerCase());
  const text = same.length > 1 ? `embedding:${name}` : trigger;
  return text.replace(/[()[\]\\]/g, "\\$&");
}

function card(each, why, all) {
  const use = (field, label, prompt) =>
    button(
      label,
      () => {
        publish("add-words", { field, text: nameInPrompt(each, all) });
        openTab("studio");
      },
      { class: "add", "aria-label": `Put ${each.name} into the ${prompt}`, title: `Put into the ${prompt}` },
    );
  return h(
    "article",
    { class: `card${why ? " unusable" : ""}`, "aria-label": each.name },
    h("div", { class: "pic" }, picture(each, each.preview && embeddingUrl(each.name, each.preview))),
    h("h3", { title: each.name }, bareName(each)),
    h(
      "p",
      { class: "badges" },
      originBadge(each),
      each.arch === "unknown" ? null : badge(architectureName(each)),
      each.converted_from ? badge(`converted from ${each.converted_from}`) : null,
      each.vectors ? badge(each.vectors === 1 ? "1 token" : `${each.vectors} tokens`) : null,
    ),
    why
      ? h("p", { class: "why" }, why)
      : each.description
        ? h("p", { class: "about" }, each.description)
        : null,
    each.reason ? convertPart("embedding", each.name) : null,
    each.tags.length ? h("p", { class: "tags" }, each.tags.join(" · ")) : null,
    h(
      "footer",
      {},
      h("span", {}, bytes(each.size_bytes)),
      h("span", {}, date(each.modified)),
      why
        ? null
        : h(
            "span",
            { class: "uses" },
            use("prompt", "Prompt", "prompt"),
            use("negative_prompt", "Negative", "negative prompt"),
          ),
    ),
  );
}

/**
 * Draw the cards of the embeddings that match `words`, those that the checkpoint `model` can use first; cards
 * whose content is as before are kept.
 *
 * @param {any} home
 * @param {any} catalog
 * @param {string[]} words
 * @param {any} model
 * @param {ReturnType<typeof import("./origin_filter.js").makeOriginFilter>} origins
 * @param {{part: (found: any[]) => any[], more: (found: any[]) => any}} batches
 * @returns {string} how many there are, for the counter
 */
export function drawEmbeddings(home, { embeddings: all, folders }, words, model, origins, batches) {
  const matching = all.filter((each) => {
    const text = `${each.name} ${each.description} ${each.notes} ${each.tags.join(" ")}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const found = origins
    .shown(matching, (each) => blockedReason(each, model))
    .map((each) => ({ each, why: blockedReason(each, model) }))
    .sort((one, other) => Number(Boolean(one.why)) - Number(Boolean(other.why)));
  const known = new Map([...home.children].map((node) => [node.dataset.key, node]));
  const nodes = batches.part(found).map(({ each, why }) => {
    const key = JSON.stringify([each, why]);
    const node = known.get(key) ?? card(each, why, all);
    node.dataset.key = key;
    return node;
  });
  const nothing = all.length
    ? origins.noneUsable() || "No embedding matches. Shorten the search."
    : `No embeddings yet. Put a .safetensors file for SDXL into ${folders.embedding}; ` +
      "it appears here automatically.";
  put(home, nodes.length ? nodes : h("p", { class: "nothing" }, nothing), batches.more(found));
  return found.length === all.length ? `${found.length}` : `${found.length} of ${all.length}`;
}
