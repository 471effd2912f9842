// @ts-check
// Two pictures over each other with a movable edge.
import { h } from "./dom.js";

/** A second picture over the one in `frame`, seen left of an edge that can be moved. Answers {end}. */
export function compareIn(frame, choices) {
  const other = h("img", { class: "other", alt: "" });
  const edge = h("input", {
    type: "range",
    min: "0",
    max: "100",
    step: "0.5",
    value: "50",
    class: "edge",
    "aria-label": "Edge between the two pictures",
    oninput: () => frame.style.setProperty("--edge", `${edge.value}%`),
  });
  const choose = h(
    "select",
    {
      class: "against",
      "aria-label": "Compare with",
      onchange: () => {
        other.src = choices[choose.selectedIndex].source;
      },
    },
    choices.map((each) => h("option", {}, each.name)),
  );
  const label = h("label", { class: "against-label" }, h("span", {}, "Left:"), choose);
  other.src = choices[0].source;
  frame.style.setProperty("--edge", "50%");
  frame.append(other, edge, label);
  frame.classList.add("comparing");
  edge.focus();
  return {
    end: () => {
      for (const node of [other, edge, label]) node.remove();
      frame.classList.remove("comparing");
    },
  };
}
