// @ts-check
// Below the prompt: what a prompt comes to that changes from step to step, or that AND joins.
import { h } from "../shared/dom.js";

const COUNTED_BY = ["steps", "sampler", "schedule", "image", "strength", "strength_steps"];

/** What of the form says how the steps of the first pass and of the hires pass are counted. */
export function stepsOf(state) {
  const hires = Object.keys(state).filter((name) => /^(?:width|height|hires_.*)$/.test(name));
  const names = state.mask || state.outpaint ? COUNTED_BY : [...COUNTED_BY, ...hires];
  return Object.fromEntries(names.map((name) => [name, state[name]]));
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
