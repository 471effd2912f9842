// @ts-check
// What this browser remembers, all of it named here. A browser that refuses to remember loses nothing else.

/** Names of what is stored. The theme is stored by theme.js, which runs before any module. */
const KEYS = {
  form: "webbduck-form",
  openGroups: "webbduck-folds",
  loraStack: "webbduck-stack",
  job: "webbduck-job",
  readNotices: "webbduck-read",
  view: "webbduck-view",
  galleryView: "webbduck-gallery-view",
  galleryOrder: "webbduck-gallery-order",
  gallerySize: "webbduck-gallery-size",
};

/** @typedef {keyof typeof KEYS} Preference */

/**
 * The text that is stored, or `usual`.
 *
 * @param {Preference} name
 * @param {any} [usual]
 * @param {() => Storage} [storage] a function, since a browser may refuse the storage itself
 */
export function getStored(name, usual = null, storage = () => localStorage) {
  try {
    return storage().getItem(KEYS[name]) ?? usual;
  } catch {
    return usual;
  }
}

/**
 * Store a text; null forgets it.
 *
 * @param {Preference} name
 * @param {string | null} text
 * @param {() => Storage} [storage]
 */
export function setStored(name, text, storage = () => localStorage) {
  try {
    if (text === null) storage().removeItem(KEYS[name]);
    else storage().setItem(KEYS[name], text);
  } catch {
    /* private windows, or no room */
  }
}

/** @type {(name: Preference, usual?: any) => any} */
export function getPref(name, usual = null) {
  try {
    return JSON.parse(getStored(name, "null")) ?? usual;
  } catch {
    return usual;
  }
}

/** @type {(name: Preference, value: any) => void} */
export const setPref = (name, value) => setStored(name, JSON.stringify(value));

/** For what belongs to this tab of the browser alone. */
export const thisTab = () => sessionStorage;
