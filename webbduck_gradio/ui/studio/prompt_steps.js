// @ts-check
// Below the prompt: what a prompt comes to that changes from step to step, or that AND joins.
import { h } from "../shared/dom.js";

/** What of the form says how the steps of the first pass are counted. */
export function stepsOf({ steps, sampler, schedule, image, strength, strength_steps }) {
  return { steps, sampler, schedule, image, strength, strength_steps };
}

/** The element, and `show(sentences)`, which shows a line for each. */
export function makeSteps() {
  const node = h("ul", { class: "prompt-steps", "aria-label": "The prompt by steps", hidden: true });
  let shown = "";
  return {
    node,
    /** @param {string[]} sentences */
    show(sentences) {
      const text = sentences.join("\n");
      if (text === shown) return;
      shown = text;
      node.hidden = !text;
      node.replaceChildren(...sentences.map((each) => h("li", {}, each)));
    },
  };
}
