// @ts-check
// What the word before the caret can be completed to. models/completion.py does the same for the API;
// tests/rules/completion.json holds both to the same cases.
import { bareName } from "./origin_names.js";
import { hasWord, isInWord, typedForm } from "./tag_index.js";

/** @typedef {import("./tag_index.js").TagIndex} TagIndex */

/**
 * A name that can be completed. `also`: other words by which it is found; `origin`: label of the folder that
 * it lies in, with which its name begins.
 *
 * @typedef {{name: string, detail?: string, also?: string, weight?: number, origin?: string}} Word
 *
 * All that can be completed, each kind in the order in which it is listed; a kind that is missing is not
 * completed.
 *
 * @typedef {{
 *   loras?: Word[], embeddings?: Word[], wildcards?: Word[], styles?: Word[], tags?: TagIndex | null,
 *   keepsUnderscores?: boolean,
 * }} Words
 *
 * @typedef {"lora" | "embedding" | "wildcard" | "style" | "tag"} Kind
 *
 * `insert`: the text in place of what was typed. `count`: how many pictures have a tag.
 *
 * @typedef {{
 *   kind: Kind, label: string, insert: string, detail: string, count: number | null, alias_of: string | null,
 * }} Option
 *
 * `opened`: whether a sign such as `__` asks for this kind, so that its first option is meant.
 *
 * @typedef {{from: number, to: number, options: Option[], opened: boolean}} Completion
 */

/** Most options of one kind. */
const MOST = 30;
/** Characters after which words are completed that no sign announces. */
const LEAST_TYPED = 2;
/** Most words of a tag as part of a sentence. */
const MOST_WORDS = 5;

const LORA = /<(?:lora|lyco)\s*:\s*([^<>:]*)$/i;
const IN_ANGLES = /<[a-z][^<>]*$/i;
const EMBEDDING = /(?<![\w\\])embedding:([^\s,()[\]{}<>|:]*)$/i;
const IN_WEIGHT = /[^:\s]\s*:\s*[-+]?[\d.]*$/;
const NO_WILDCARD = /[\n,|{}<>()]/;
const FOLLOWED = /^[ \t]*[,)\]}|:>]/;

/**
 * The options for the caret at `position`, or null where nothing is to be completed.
 *
 * @param {string} text
 * @param {number} position
 * @param {Words} words
 * @returns {Completion | null}
 */
export function complete(text, position, words) {
  const before = text.slice(0, position);
  const after = text.slice(position);
  const answer = (from, to, options, opened) => (options.length ? { from, to, options, opened } : null);

  const lora = LORA.exec(before);
  if (lora) {
    const closed = /^[^<>\n]*>/.exec(after)?.[0].length ?? 0;
    return answer(lora.index, position + closed, loras(words.loras ?? [], lora[1]), true);
  }
  if (IN_ANGLES.test(before)) return null;
  const wildcard = wildcardStart(before);
  if (wildcard !== null) {
    const options = named(words.wildcards ?? [], before.slice(wildcard + 2), { anywhere: true }).map((each) =>
      option("wildcard", each, `__${each.name}__`),
    );
    return answer(wildcard, position + (after.startsWith("__") ? 2 : 0), options, true);
  }
  const embedding = EMBEDDING.exec(before);
  if (embedding) {
    const end = endOf(before.slice(0, embedding.index), after);
    const options = named(words.embeddings ?? [], embedding[1]).map((each) =>
      option("embedding", each, `embedding:${escaped(each.name)}${end}`),
    );
    return answer(embedding.index, position, options, true);
  }
  if (after && isInWord(after.charCodeAt(0))) return null;
  for (const [from, isLast] of wordStarts(before)) {
    const end = endOf(before.slice(0, from), after);
    const options = byWord(words, unescaped(before.slice(from)), end, isLast);
    if (options.length) return { from, to: position, options, opened: false };
  }
  return null;
}

/** Where the wildcard begins whose name is being typed, or null. */
function wildcardStart(before) {
  let start = null;
  for (let at = before.indexOf("__"); at >= 0; at = before.indexOf("__", at + 2)) {
    const name = start === null ? "" : before.slice(start + 2, at);
    start = name.trim() && !NO_WILDCARD.test(name) ? null : at;
  }
  return start === null || NO_WILDCARD.test(before.slice(start + 2)) ? null : start;
}

/**
 * Where the words begin that end at the caret, the longest first, and whether it is the last word: "a long
 * ha" can be meant to begin a tag as a whole, or "long ha", or "ha".
 *
 * @returns {[number, boolean][]}
 */
function wordStarts(before) {
  const first = segmentStart(before);
  const segment = before.slice(first);
  if (IN_WEIGHT.test(segment)) return [];
  let places = [...segment.matchAll(/[^\s:]+/g)].map((found) => found.index);
  // A tag can begin with a colon.
  const lead = segment.length - segment.trimStart().length;
  if (segment[lead] === ":") places.unshift(lead);
  places = places.slice(-MOST_WORDS);
  return places
    .filter((place) => segment.slice(place).trim().length >= LEAST_TYPED)
    .map((place) => [first + place, place === places.at(-1)]);
}

/** After the last sign that ends a word; brackets that are escaped do not. */
function segmentStart(before) {
  for (let at = before.length - 1; at >= 0; at -= 1) {
    if (",\n|{}>$".includes(before[at]) || ("()[]".includes(before[at]) && !isEscaped(before, at))) {
      return at + 1;
    }
  }
  return 0;
}

function isEscaped(text, at) {
  let slashes = 0;
  while (text[at - 1 - slashes] === "\\") slashes += 1;
  return slashes % 2 === 1;
}

const unescaped = (text) => text.replace(/\\(.)/g, "$1");

/** A name as it is written into a prompt, where brackets are weights: `miku \(vocaloid\)`. */
const escaped = (name) => name.replace(/[\\()[\]]/g, "\\$&");

/** A tag with spaces, unless it is a face, as ^_^ and o_o: no two letters or digits follow one another. */
const asWords = (tag) => (/[\p{L}\p{N}]{2}/u.test(tag) ? tag.replaceAll("_", " ") : tag);

/** What is put behind a word: a comma, unless it is in a bracket or one of these signs follows. */
function endOf(before, after) {
  let depth = 0;
  for (let at = 0; at < before.length; at += 1) {
    if ("([{".includes(before[at]) && !isEscaped(before, at)) depth += 1;
    else if (")]}".includes(before[at]) && !isEscaped(before, at)) depth = Math.max(0, depth - 1);
  }
  if (depth || FOLLOWED.test(after)) return "";
  return /^\s/.test(after) ? "," : ", ";
}

/**
 * `isLast`: also words of names that begin so, not the names alone.
 *
 * @param {Words} words
 */
function byWord({ embeddings = [], styles = [], tags, keepsUnderscores = false }, typed, end, isLast) {
  const how = { onlyBeginnings: !isLast };
  return [
    ...named(embeddings, typed, how).map((each) => option("embedding", each, escaped(each.name) + end)),
    ...named(styles, typed, how).map((each) => option("style", each, "")),
    ...(tags?.find(typed, MOST, !isLast) ?? []).map((each) => tagOption(each, end, keepsUnderscores)),
  ];
}

/** @returns {Option} */
const option = (kind, word, insert) => ({
  kind,
  label: word.name,
  insert,
  detail: word.detail ?? "",
  count: null,
  alias_of: null,
});

/** @returns {Option} */
function tagOption({ name, category, count, note, alias }, end, keepsUnderscores) {
  const words = asWords(name);
  return {
    kind: "tag",
    label: alias || words,
    insert: escaped(keepsUnderscores ? name : words) + end,
    detail: note || category,
    count,
    alias_of: alias ? words : null,
  };
}

/** Those in whose name or other words each typed word occurs; names that begin with it first. */
function loras(all, typed) {
  const parts = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const begins = (each) =>
    bareName(each)
      .toLowerCase()
      .startsWith(parts[0] ?? "");
  return all
    .filter(({ name, also = "" }) => {
      const text = `${name} ${also}`.toLowerCase();
      return parts.every((part) => text.includes(part));
    })
    .sort((one, other) => Number(begins(other)) - Number(begins(one)))
    .map((each) => option("lora", each, `<lora:${each.name}:${each.weight ?? 1}>`));
}

/**
 * Words whose name begins so, then those with a word in the name that does, then, with `anywhere`, those that
 * hold it anywhere.
 *
 * @param {Word[]} words
 * @param {string} text
 */
function named(words, text, { anywhere = false, onlyBeginnings = false } = {}) {
  const typed = typedForm(text);
  /** @type {[Word[], Word[], Word[]]} */
  const groups = [[], [], []];
  for (const word of words) {
    const name = typedForm(word.name);
    const at = name.indexOf(typed);
    if (at === 0 || typedForm(bareName(word)).startsWith(typed)) groups[0].push(word);
    else if (at > 0) groups[hasWord(name, typed) ? 1 : 2].push(word);
  }
  return groups.slice(0, onlyBeginnings ? 1 : anywhere ? 3 : 2).flat();
}
