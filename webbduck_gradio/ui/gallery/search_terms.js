// @ts-check
// Parses the search text into terms. tests/rules/search_terms.json verifies that this agrees with the
// server's
// search (gallery/index/search.py).

// A new RegExp for each use, since a global one keeps its position in `lastIndex`.
const TERM = () => /(-?)(?:([A-Za-z]+):(=?))?(?:"([^"]*)"?|(\S+))/g;
const FAVOURITE = ["favourite", "favourites", "favorite", "favorites", "fav", "favorit"];
const COLUMNS = { checkpoint: "model", loras: "lora", scheduler: "sampler", is: "kind" };

/** @typedef {{text: string, without: boolean, exact: boolean, name: string, value: string}} Term */

/** @type {(text: string) => Term[]} */
export const termsOf = (text) =>
  [...text.matchAll(TERM())].map((found) => ({
    text: found[0],
    without: Boolean(found[1]),
    exact: Boolean(found[3]),
    name: (found[2] ?? "").toLowerCase(),
    value: found[4] ?? found[5] ?? "",
  }));

/** A name in quotation marks; the syntax has no escape for one inside it. */
export const quoted = (name) => `"${name.replaceAll('"', " ")}"`;

/** The column that a term searches: "checkpoint:" and "model:" are the same. */
export const columnOf = (term) => COLUMNS[term.name] ?? term.name;

/**
 * Whether a term searches for favourites. A prefix of three letters or more is enough.
 *
 * @type {(term: Term) => boolean}
 */
export function isFavourite(term) {
  const value = term.value.toLowerCase();
  const begun = value.length >= 3 && "favourite".startsWith(value);
  return columnOf(term) === "kind" && (begun || FAVOURITE.includes(value));
}

/**
 * The search text without the terms for which `owns(term)` is true, and with `expression` appended if given.
 */
export function replaceTerm(text, owns, expression = null) {
  const kept = termsOf(text)
    .filter((term) => !owns(term))
    .map((term) => term.text);
  return [...kept, ...(expression ? [expression] : [])].join(" ");
}
