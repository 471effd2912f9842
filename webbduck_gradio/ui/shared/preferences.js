// @ts-check
// Everything that is stored in the browser. Without storage the page works the same, but forgets it.

/** Storage keys. The theme's is in theme.js, which runs before any module. */
const KEYS = {
  form: "webbduck-form",
  openGroups: "webbduck-folds",
  loraStack: "webbduck-stack",
  job: "webbduck-job",
  readNotices: "webbduck-read",
  sentPrompts: "webbduck-sent-prompts",
  completion: "webbduck-completion",
  upscaler: "webbduck-upscaler",
  upscalerTile: "webbduck-upscaler-tile",
  keptPresses: "webbduck-kept-presses",
  endless: "webbduck-endless",
  keptFocus: "webbduck-kept-focus",
  view: "webbduck-view",
  galleryView: "webbduck-gallery-view",
  galleryOrder: "webbduck-gallery-order",
  distilledDismissed: "webbduck-distilled-dismissed",
  gallerySize: "webbduck-gallery-size",
  scroll: "webbduck-scroll",
};

/** @typedef {keyof typeof KEYS} Preference */

/**
 * The stored text, or `usual`.
 *
 * @param {Preference} name
 * @param {any} [usual]
 * @param {() => Storage} [storage] a function, since merely accessing a blocked storage throws
 */
export function getStored(name, usual = null, storage = () => localStorage) {
  try {
    return storage().getItem(KEYS[name]) ?? usual;
  } catch {
    return usual;
  }
}

/**
 * Store a text; null removes it.
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
    /* storage blocked or full */
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

/** Storage of this browser tab only. */
export const thisTab = () => sessionStorage;
