// @ts-check
// Completes words in the prompts: LoRAs, embeddings, wildcards, styles and tags.
import { last, publish, subscribe } from "../shared/bus.js";
import { completeIn } from "../shared/completion.js";
import { complete } from "../shared/completion_rules.js";
import { listenerSignal } from "../shared/dom.js";
import { shortCount } from "../shared/format.js";
import { blockedReason } from "../shared/lora_fit.js";
import { getStored, thisTab } from "../shared/preferences.js";
import { TagIndex } from "../shared/tag_index.js";
import { toast } from "../shared/toast.js";
import { loraUrl, tagsUrl } from "../shared/urls.js";
import { completionChoices, isCompleted } from "./completion_choices.js";
import * as form from "./form.js";

/** Prompts whose LoRAs go into the stack; in that of the hires pass they are written as tags. */
const STACKED = "#prompt textarea, #prompt-2 textarea";
const HIRES = "#hires-prompt textarea";
/** Prompts to which the styles are added. */
const STYLED = "#prompt textarea, #negative textarea";
const ALL = `${STACKED}, ${HIRES}, #negative textarea, #hires-negative-prompt textarea, #details textarea`;

const TITLES = {
  lora: "LoRAs",
  embedding: "Embeddings",
  wildcard: "Wildcards",
  style: "Styles",
  tag: "Tags",
};

export function completePrompts() {
  completeIn(ALL, { find, take });
  // Only who is about to type in a prompt needs the tags.
  const loadIfFocused = () => document.activeElement?.matches(ALL) && loadTags();
  document.addEventListener("focusin", loadIfFocused, { signal: listenerSignal("prompt_completion") });
  subscribe("catalog", loadIfFocused);
}

// -- tags --------------------------------------------------------------------------------------------------

/**
 * All tags, and the version that they have or, while they are fetched, will have.
 *
 * @type {{version: string, index: TagIndex | null}}
 */
let tags = { version: "", index: null };

async function loadTags() {
  const { version, count } = last.get("catalog")?.completion.tags ?? {};
  if (!count || version === tags.version || !isCompleted("tag")) return;
  tags = { ...tags, version };
  try {
    const answer = await fetch(tagsUrl(version));
    if (!answer.ok) throw new Error(String(answer.status));
    const index = new TagIndex(await answer.text());
    if (tags.version === version) tags = { version, index };
  } catch {
    // They are asked for again with the next focus; until then words are typed in full.
    if (tags.version === version) tags = { ...tags, version: "" };
  }
}

const currentTags = () => (last.get("catalog")?.completion.tags.count ? tags.index : null);

// -- what is found -----------------------------------------------------------------------------------------

function find(text, caret, area) {
  const catalog = last.get("catalog");
  const choices = completionChoices();
  if (!catalog || !choices.on) return null;
  const { wildcards, embeddings, styles } = catalog.completion;
  const found = complete(text, caret, {
    loras: choices.lora && area.matches(`${STACKED}, ${HIRES}`) ? catalog.loras.map(asWord) : [],
    wildcards: choices.wildcard ? wildcards : [],
    embeddings: choices.embedding ? embeddings : [],
    styles: choices.style && area.matches(STYLED) ? styles : [],
    tags: choices.tag ? currentTags() : null,
    keepsUnderscores: choices.underscores,
  });
  if (!found) return null;
  const kinds = new Set(found.options.map(({ kind }) => kind));
  const [kind] = kinds;
  const options =
    kind === "lora"
      ? withFit(found.options, catalog)
      : found.options.map((each) => ({ ...shown(each, kinds), origin: originOf(each, catalog.completion) }));
  return { ...found, options, title: kinds.size === 1 ? TITLES[kind] : "Words" };
}

const asWord = ({ name, origin, trigger, kind, tags: of = [], weight }) => ({
  name,
  origin,
  detail: trigger || kind,
  also: `${trigger} ${of.join(" ")}`,
  weight,
});

/** LoRAs with their pictures; those that the checkpoint cannot use come last, with the reason. */
function withFit(options, { checkpoints, loras }) {
  const base = checkpoints.find((each) => each.name === form.state()?.base_model);
  const byName = new Map(loras.map((each) => [each.name, each]));
  return options
    .map((option) => {
      const lora = byName.get(option.label);
      const picture = loraUrl(lora.name, lora.preview ?? "");
      return { ...option, picture, origin: lora.origin, why: blockedReason(lora, base) };
    })
    .sort((one, other) => Number(Boolean(one.why)) - Number(Boolean(other.why)));
}

/** The label of the folder that a wildcard or a style lies in. */
const originOf = ({ kind, label }, { wildcards, styles }) =>
  ({ wildcard: wildcards, style: styles })[kind]?.find(({ name }) => name === label)?.origin;

/** With what is said of it beside its name. */
function shown(option, kinds) {
  if (option.kind === "tag") {
    const count = option.count === null ? "" : shortCount(option.count);
    const label = option.alias_of ? `${option.label} → ${option.alias_of}` : option.label;
    return {
      ...option,
      label,
      category: option.detail,
      detail: [option.detail, count].filter(Boolean).join(" · "),
    };
  }
  return kinds.size === 1
    ? option
    : { ...option, detail: [option.kind, option.detail].filter(Boolean).join(" · ") };
}

// -- what is taken -----------------------------------------------------------------------------------------

/** Names of the LoRAs in the stack, which the stack stores at once. */
const stacked = () => JSON.parse(getStored("loraStack", "[]", thisTab)).map(({ name }) => name);

function take(option, area) {
  if (option.kind === "style") {
    publish("add-style", { name: option.label });
    return "";
  }
  if (option.kind !== "lora" || !area.matches(STACKED)) return option.insert;
  publish("add-lora", { name: option.label });
  const names = stacked();
  if (names.includes(option.label)) return "";
  toast(`At most ${names.length} LoRAs can be used; remove one first.`);
  return null;
}
