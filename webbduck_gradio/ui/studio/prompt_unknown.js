// @ts-check
// Below the prompt: the words that the checkpoint does not know, and the way to another one.
import { button, h, setText } from "../shared/dom.js";
import { showCheckpoints } from "./show_checkpoints.js";

/** Milliseconds without another word until a sentence is said, so that no half-typed word is. */
const PAUSE = 1200;

/**
 * The element, and `show(text)`, which shows a sentence. "" keeps its line free, so that nothing moves while
 * one types; null is for a checkpoint that says nothing of words.
 */
export function makeUnknown() {
  const text = h("p", { role: "status" });
  const node = h(
    "div",
    { class: "prompt-unknown silent", hidden: true },
    text,
    button("Add a model", showCheckpoints),
  );
  let waiting;
  function say(sentence) {
    node.classList.toggle("silent", !sentence);
    setText(text, sentence);
    // It is cut off in its line, and whole under the pointer or with the focus.
    text.tabIndex = sentence ? 0 : -1;
  }
  return {
    node,
    /** @param {string | null} sentence */
    show(sentence) {
      clearTimeout(waiting);
      node.hidden = sentence === null;
      if (!sentence) say("");
      else if (sentence !== text.textContent) waiting = setTimeout(() => say(sentence), PAUSE);
    },
  };
}
