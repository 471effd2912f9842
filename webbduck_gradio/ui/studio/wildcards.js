// @ts-check
// Below the prompt: what its wildcards and variants come to, and the way to the editor of their files.
import { subscribe } from "../shared/bus.js";
import { button, put, setHidden } from "../shared/dom.js";
import { openDraws } from "./wildcard_draws.js";
import { openEditor } from "./wildcard_editor.js";

/** What may be drawn; the server knows it exactly. */
const DYNAMIC = /\{[^}]*[|{$_]|\$\{|(?:^|[^\w\\])__[^\s_]|<(?:random|wildcard)[:[]/;

/** @param {GradioView} view */
export default function start({ server }) {
  const preview = button("Draws", () => openDraws(preview, server), {
    "aria-haspopup": "dialog",
    "aria-label": "Preview draws",
  });
  const edit = button("Wildcards", () => openEditor(edit, server), { "aria-haspopup": "dialog" });
  preview.title = "What this prompt comes to with ten seeds";
  edit.title = "Lists of words, which a prompt names as __name__";
  setHidden(preview, true);
  subscribe("form", (state) => {
    const row = document.querySelector(".wildcard-row");
    if (row && edit.parentNode !== row) put(row, edit, preview);
    const texts = [state.prompt, state.negative_prompt, state.prompt_2];
    setHidden(preview, !texts.some((text) => DYNAMIC.test(text ?? "")));
  });
}
