// @ts-check
// The part of the page's URL after "#": which tab, search, picture or job it shows.

/** @typedef {{tab: string, query: string, job: string, picture: string}} Place */

const TABS = ["studio", "gallery", "queue", "loras"];
const MOST_LETTERS = 1024;
const NOT_IN_IDS = /[\\\p{Cc}\p{Cs}]/u;

/** As the server checks it (gallery/run_layout.py): a relative path of plain names that ends in a file's. */
const isImageId = (text) =>
  text.length <= MOST_LETTERS &&
  !NOT_IN_IDS.test(text) &&
  /\.[a-z]+$/i.test(text) &&
  text.split("/").every((part) => part && !part.startsWith("."));
const isJobId = (text) => /^[0-9a-f]{1,64}$/.test(text);

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** @returns {Place} */
export const placeOn = (tab, more = {}) => ({ tab, query: "", job: "", picture: "", ...more });

/**
 * What the fragment of a URL ("#gallery?q=duck") names; null if it names nothing of this page. It may come
 * from anywhere, so ids are checked, and the search is text for the search field.
 *
 * @param {string} fragment
 * @returns {Place | null}
 */
export function placeOf(fragment) {
  const text = fragment.replace(/^#/, "");
  if (text.startsWith("picture=")) {
    const picture = decoded(text.slice("picture=".length));
    return isImageId(picture) ? placeOn("gallery", { picture }) : null;
  }
  const [tab, parameters = ""] = text.split("?", 2);
  if (!TABS.includes(tab)) return null;
  const given = new URLSearchParams(parameters);
  const job = given.get("job") ?? "";
  return placeOn(tab, {
    query: tab === "gallery" ? (given.get("q") ?? "").slice(0, MOST_LETTERS) : "",
    job: tab === "queue" && isJobId(job) ? job : "",
  });
}

/**
 * The fragment that names a place, with its "#"; "" for the Studio, where the page begins.
 *
 * @param {Place} place
 */
export function fragmentOf({ tab, query, job, picture }) {
  if (picture) return `#picture=${picture.split("/").map(encodeURIComponent).join("/")}`;
  if (tab === "gallery" && query) return `#gallery?q=${encodeURIComponent(query)}`;
  if (tab === "queue" && job) return `#queue?job=${job}`;
  return tab === "studio" ? "" : `#${tab}`;
}
