// @ts-check
// Files dropped on any tab, and pictures pasted into the Studio.
import { last } from "../shared/bus.js";
import { h, home, isTyping, listenerSignal } from "../shared/dom.js";
import { openTab } from "../shared/tabs.js";
import { toast } from "../shared/toast.js";
import { takeFiles } from "./folder_batch.js";
import { takeFolders } from "./folder_files.js";
import { isPicture } from "./folder_progress.js";
import { entriesOf } from "./folder_walk.js";
import { isLoadable, isModelFile, kindOfFile, placeOfModel } from "./model_file.js";
import { readSettings } from "./settings_menu.js";

/** Say which folder a model file belongs into. */
async function explainModel(file) {
  const folders = last.get("catalog")?.folders ?? {};
  const kind = isLoadable(file.name) ? await kindOfFile(file) : "";
  const copy = () =>
    navigator.clipboard.writeText(folders[kind]).catch(() => window.prompt("Copy this:", folders[kind]));
  toast(placeOfModel(file.name, kind, folders), kind ? copy : null, "Copy the folder's path");
}

/** `use(file)` makes a picture the input picture. */
export function listenForFiles(use) {
  const signal = listenerSignal("file_drop");
  const isCovered = () => document.querySelector("dialog[open]") !== null;
  const active = () => document.querySelector("#studio")?.offsetParent !== null && !isCovered();
  const zone = (name, title, text) =>
    h("div", { class: "zone", "data-zone": name }, h("b", {}, title), h("span", {}, text));
  const dropper = h(
    "div",
    { class: "dropper", hidden: true },
    zone("use", "Use as input picture", "For img2img or inpainting"),
    zone("read", "Read its settings", "Fill the form with the settings it was made with"),
  );
  let isOwnDrag = false;
  let leaving = null;
  const setOwnDrag = (event) => {
    isOwnDrag = event.type === "dragstart";
  };
  document.addEventListener("dragstart", setOwnDrag, { signal });
  document.addEventListener("dragend", setOwnDrag, { signal });
  const isFileDrag = (event) => !isOwnDrag && [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener(
    "dragover",
    (event) => {
      if (!isFileDrag(event)) return;
      event.preventDefault(); // else the browser opens the file in place of the studio
      if (isCovered()) {
        event.dataTransfer.dropEffect = "none";
        return;
      }
      clearTimeout(leaving);
      leaving = setTimeout(() => {
        dropper.hidden = true;
      }, 400);
      if (dropper.parentNode !== home()) home().append(dropper);
      dropper.hidden = false;
      const over = event.target.closest?.(".zone");
      for (const each of dropper.children) each.classList.toggle("over", each === over);
    },
    { capture: true, signal },
  );
  document.addEventListener(
    "drop",
    (event) => {
      if (!isFileDrag(event)) return;
      event.preventDefault();
      event.stopPropagation();
      clearTimeout(leaving);
      dropper.hidden = true;
      if (isCovered()) return;
      const entries = entriesOf(event.dataTransfer);
      if (entries.some((each) => each.isDirectory)) return takeFolders(entries);
      const [dropped, ...more] = event.dataTransfer.files;
      if (!dropped) return;
      if (more.length) {
        const files = [dropped, ...more];
        if (files.every(isPicture)) return takeFiles(files);
        return toast(`${files.length} files were dropped; drop pictures only, or one file at a time.`);
      }
      if (isModelFile(dropped.name)) return explainModel(dropped);
      openTab("studio");
      if (event.target.closest?.("[data-zone=read]")) readSettings(dropped);
      else use(dropped);
    },
    { capture: true, signal },
  );
  document.addEventListener(
    "paste",
    (event) => {
      const pasted = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
      if (!pasted || !active()) return;
      // Spreadsheets and note apps put a rendering of the copied text on the clipboard beside the text
      // itself;
      // a copied file puts only its name there.
      const text = event.clipboardData.getData("text/plain").trim();
      if (isTyping(event.target) && text && text !== pasted.name) return;
      event.preventDefault();
      use(pasted);
    },
    { capture: true, signal },
  );
}
