// @ts-check
// The pictures of folders that are dropped or chosen, to be drawn by img2img one by one.
import { touch } from "../shared/dom.js";
import { many, number } from "../shared/format.js";
import { toast } from "../shared/toast.js";
import { takeFiles } from "./folder_batch.js";
import { MOST_FILES, MOST_PICTURES, filesIn, picturesOf } from "./folder_walk.js";

/** Offer to draw from each picture in dropped folders; what is left out is said. */
export async function takeFolders(entries) {
  const { found, isMore, unread } = await filesIn(entries);
  take(found, isMore, unread);
}

/** @param {import("./folder_walk.js").Found[]} found */
function take(found, isMore = false, unread = 0) {
  const { files, others, left } = picturesOf(found);
  const notes = [];
  if (isMore) notes.push(`Only the first ${number(MOST_FILES)} files were looked at.`);
  if (unread) notes.push(`${many(unread, "file or folder", "files or folders")} could not be read.`);
  if (left) {
    notes.push(`Only the first ${number(MOST_PICTURES)} pictures are taken; ${number(left)} are left out.`);
  }
  if (!files.length) notes.push("There are no PNG, JPEG or WebP pictures in the folder.");
  else if (others) {
    notes.push(`${many(others, "file")} that ${others === 1 ? "is" : "are"} no picture left out.`);
  }
  if (notes.length) toast(notes.join(" "));
  if (files.length) takeFiles(files);
}

/** Let a button choose a folder, where the system can. */
export function folderChooser(element) {
  const opener = element.querySelector(".choose-folder");
  const input = element.querySelector(".folder");
  opener.hidden = touch.matches || !("webkitdirectory" in input);
  opener.onclick = () => input.click();
  input.onchange = () => {
    take([...input.files].map((file) => ({ path: file.webkitRelativePath, file })));
    input.value = "";
  };
  return opener;
}
