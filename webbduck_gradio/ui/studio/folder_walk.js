// @ts-check
// Which files a dropped or chosen folder holds.
import { isPicture } from "./folder_progress.js";

/** Most pictures that are taken at once, and most files that are looked at for them. */
export const MOST_PICTURES = 1000;
export const MOST_FILES = 20000;

/** @typedef {{path: string, file: File}} Found */

const byPath = new Intl.Collator(undefined, { numeric: true });
/** Files of the system, which have the endings of pictures on some drives: "._pond.png". */
const isHidden = (path) => path.split("/").some((part) => part.startsWith("."));

/**
 * The pictures among files, in the order of their paths, numbers by value. `others`: how many visible files
 * were no pictures; `left`: how many pictures are more than are taken at once.
 *
 * @param {Found[]} found
 */
export function picturesOf(found) {
  const visible = found.filter((each) => !isHidden(each.path));
  const pictures = visible
    .filter((each) => isPicture(each.file))
    .sort((one, other) => byPath.compare(one.path, other.path));
  return {
    files: pictures.slice(0, MOST_PICTURES).map((each) => each.file),
    others: visible.length - pictures.length,
    left: Math.max(0, pictures.length - MOST_PICTURES),
  };
}

/** What a drop holds as entries; they have to be asked for before the event is over. */
export const entriesOf = (dropped) =>
  [...(dropped?.items ?? [])].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);

/**
 * All files in these entries and the folders below them, of which at most `MOST_FILES` are looked at;
 * `isMore`: whether there are others; `unread`: how many files and folders could not be read.
 */
export async function filesIn(entries) {
  /** @type {Found[]} */
  const found = [];
  const open = [...entries];
  let unread = 0;
  for (let looked = 0; open.length && looked < MOST_FILES; looked += 1) {
    const entry = open.shift();
    try {
      if (entry.isDirectory) open.push(...(await childrenOf(entry)));
      else found.push({ path: entry.fullPath, file: await new Promise((...done) => entry.file(...done)) });
    } catch {
      unread += 1;
    }
  }
  return { found, isMore: open.length > 0, unread };
}

async function childrenOf(folder) {
  const reader = folder.createReader();
  const children = [];
  while (children.length < MOST_FILES) {
    const some = await new Promise((...done) => reader.readEntries(...done)); // a part of them at a time
    if (!some.length) break;
    children.push(...some);
  }
  return children;
}
