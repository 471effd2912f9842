// @ts-check
// The entries of a list to choose from, and which of them a typed text finds.

/**
 * Entries of one group stand together. `origin`: label of the folder that a model lies in (origins.js).
 *
 * @typedef {{value: any, label: string, group?: string, origin?: string}} Choice
 */

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/**
 * The entries whose label, group and origin contain every word of the text, in any case and without accents.
 *
 * @param {Choice[]} choices
 * @param {string} text
 */
export function matching(choices, text) {
  const words = plain(text).split(/\s+/).filter(Boolean);
  return choices.filter(({ label, group = "", origin = "" }) => {
    const all = plain(`${group} ${origin} ${label}`);
    return words.every((word) => all.includes(word));
  });
}

/**
 * Index of the entry that the text means most likely: of this name, else beginning with it, else the first;
 * -1 if there is none.
 *
 * @param {Choice[]} found
 * @param {string} text
 */
export function likeliest(found, text) {
  const typed = plain(text.trim());
  const named = found.findIndex(({ label }) => plain(label) === typed);
  if (named >= 0) return named;
  const begun = found.findIndex(({ label }) => plain(label).startsWith(typed));
  return begun >= 0 ? begun : Math.min(0, found.length - 1);
}

/**
 * The entries by group, in their order; those without a group have the group "".
 *
 * @param {Choice[]} choices
 * @returns {[string, Choice[]][]}
 */
export function byGroup(choices) {
  /** @type {[string, Choice[]][]} */
  const groups = [];
  for (const choice of choices) {
    const group = choice.group ?? "";
    if (groups.at(-1)?.[0] !== group) groups.push([group, []]);
    groups.at(-1)?.[1].push(choice);
  }
  return groups;
}
