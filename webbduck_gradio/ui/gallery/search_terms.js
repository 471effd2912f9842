// @ts-check
// The terms of a search, which is one line of text. tests/rules/search_terms.json holds this and the server's
// search (gallery/index/search.py) together.

// Made anew for each use: a pattern that is looked for everywhere remembers where it was.
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

/** A name as it stands in a search; a quotation mark in it cannot be written. */
export const quoted = (name) => `"${name.replaceAll('"', " ")}"`;

/** What a term looks in: "checkpoint:" and "model:" are the same. */
export const columnOf = (term) => COLUMNS[term.name] ?? term.name;

/**
 * Whether a term asks for favourites. A word of three letters or more stands for all that begin with it.
 *
 * @type {(term: Term) => boolean}
 */
export function isFavourite(term) {
  const value = term.value.toLowerCase();
  const begun = value.length >= 3 && "favourite".startsWith(value);
  return columnOf(term) === "kind" && (begun || FAVOURITE.includes(value));
}

/** The search without the terms that `owns` chooses, and with `expression` where there is one. */
export function replaceTerm(text, owns, expression = null) {
  const kept = termsOf(text)
    .filter((term) => !owns(term))
    .map((term) => term.text);
  return [...kept, ...(expression ? [expression] : [])].join(" ");
}
