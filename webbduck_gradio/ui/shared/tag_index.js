// @ts-check
// Finds tags by what was typed, among a hundred thousand within a millisecond. models/tags.py writes the text
// in which it looks, and finds the same in it.

const CATEGORIES = ["general", "artist", "copyright", "character", "species", "meta", "lore", "invalid"];
/** Between the words of a tag's line and what is known of it. */
const FIELD = "\x1f";
const [BREAK, TAB] = ["\n", "\t"].map((each) => each.charCodeAt(0));
const FIELD_CODE = FIELD.charCodeAt(0);

/** @typedef {{name: string, category: string, count: number | null, note: string, alias: string}} Match */

/** Shortest text that is looked for: words are kept by their first two characters. */
const LEAST = 2;

/** A tag as it is searched for: small letters, one space between words, none before the first. */
export function typedForm(text) {
  const spaced = text.replaceAll("_", " ").toLowerCase();
  const words = spaced.trim().replace(/\s+/g, " ");
  return words && /\s$/.test(spaced) ? `${words} ` : words;
}

/** Whether a word goes on after this character: letters and digits, and all beyond ASCII. */
export const isInWord = (code) =>
  (code > 96 && code < 123) || (code > 47 && code < 58) || (code > 64 && code < 91) || code > 127;

/** Whether a word behind the first begins so. */
export function hasWord(text, typed) {
  let at = text.indexOf(typed, 1);
  while (at > 0 && isInWord(text.charCodeAt(at - 1))) at = text.indexOf(typed, at + 1);
  return at > 0;
}

const keyOf = (text, at) => text.charCodeAt(at) * 65536 + text.charCodeAt(at + 1);

export class TagIndex {
  /** @param {string} text all tags, see `TagList` of models/tags.py */
  constructor(text) {
    this.text = text;
    /** @type {Map<number, number[]>} places in the text at which words begin, by their first characters */
    this.places = new Map();
    for (let at = 1; at < text.length; at = text.indexOf("\n", at) + 1) this.#addLine(at);
  }

  #addLine(begin) {
    const { text, places } = this;
    let before = BREAK;
    for (let at = begin; ; at += 1) {
      const code = text.charCodeAt(at);
      if (code === FIELD_CODE) return;
      if (!isInWord(before) && code !== TAB) {
        const key = keyOf(text, at);
        const found = places.get(key);
        if (found) found.push(at);
        else places.set(key, [at]);
      }
      before = code;
    }
  }

  /**
   * The tags for what was typed: those that begin with it or have an alias that does, then those in which
   * another word does; each most frequent first.
   *
   * @param {string} what
   * @param {number} most
   * @param {boolean} [onlyBeginnings] the first alone
   */
  find(what, most, onlyBeginnings = false) {
    const { text } = this;
    const typed = typedForm(what);
    if (typed.length < LEAST) return [];
    /** @type {Match[]} */
    const begun = [];
    /** @type {Match[]} */
    const others = [];
    let end = 0;
    for (const at of this.places.get(keyOf(typed, 0)) ?? []) {
      if (at < end || !text.startsWith(typed, at)) continue;
      const before = text.charCodeAt(at - 1);
      if (onlyBeginnings && before !== BREAK && before !== TAB) continue;
      end = text.indexOf("\n", at);
      const [key, ...facts] = text.slice(text.lastIndexOf("\n", at - 1) + 1, end).split(FIELD);
      const words = key.split("\t");
      const isBegun = words.some((each) => each.startsWith(typed));
      const group = isBegun ? begun : others;
      const fits = isBegun ? (word) => word.startsWith(typed) : (word) => hasWord(word, typed);
      if (group.length < most) group.push(match(words, facts, fits));
      if (begun.length === most) break;
    }
    return [...begun, ...others].slice(0, most);
  }
}

/** @type {(words: string[], facts: string[], fits: (word: string) => boolean) => Match} */
function match([key, ...aliases], [category, uses, note, name], fits) {
  return {
    name: name || key.replaceAll(" ", "_"),
    category: CATEGORIES[Number(category)],
    count: uses ? Number(uses) : null,
    note,
    alias: fits(key) ? "" : (aliases.find(fits) ?? ""),
  };
}
