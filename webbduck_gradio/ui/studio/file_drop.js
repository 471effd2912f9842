// @ts-check
// Pictures dropped on the Studio or pasted into it.
import { h, isTyping, listenerSignal } from "../shared/dom.js";
import { readSettings } from "./settings_menu.js";

/** `use(file)` makes a picture the input picture. */
export function listenForFiles(use) {
  const signal = listenerSignal("file_drop");
  const studio = () => document.querySelector("#studio");
  const active = () => studio()?.offsetParent !== null && !document.querySelector("dialog[open]");
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
  const isFileDrag = (event) =>
    !isOwnDrag && active() && [...(event.dataTransfer?.types ?? [])].includes("Files");
  document.addEventListener(
    "dragover",
    (event) => {
      if (!isFileDrag(event)) return;
      event.preventDefault();
      clearTimeout(leaving);
      leaving = setTimeout(() => {
        dropper.hidden = true;
      }, 400);
      if (dropper.parentNode !== studio()) studio().append(dropper);
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
      const dropped = event.dataTransfer.files[0];
      if (!dropped) return;
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
