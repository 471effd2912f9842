// @ts-check
// Below the prompt: the words that the checkpoint does not know, and the way to another one.
import { button, h, setText } from "../shared/dom.js";
import { showCheckpoints } from "./show_checkpoints.js";

/** Milliseconds without another word until a sentence is said, so that no half-typed word is. */
const PAUSE = 1200;

/** The element, and `show(text)`, which shows a sentence or, for "", none. */
export function makeUnknown() {
  const text = h("p", { role: "status" });
  const node = h(
    "div",
    { class: "prompt-unknown", hidden: true },
    text,
    button("Add a model", showCheckpoints),
  );
  let waiting;
  function say(sentence) {
    node.hidden = !sentence;
    setText(text, sentence);
  }
  return {
    node,
    show(sentence) {
      clearTimeout(waiting);
      if (!sentence) say("");
      else if (sentence !== text.textContent) waiting = setTimeout(() => say(sentence), PAUSE);
    },
  };
}
