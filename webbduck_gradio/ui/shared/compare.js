// @ts-check
// Two pictures over each other with a movable edge.
import { makeCompareSlider } from "./compare_slider.js";
import { h } from "./dom.js";

/** A second picture over the one in `frame`, seen left of an edge that can be moved. Answers {end}. */
export function compareIn(frame, choices) {
  const other = h("img", { class: "other", alt: "" });
  const slider = makeCompareSlider("Edge between the two pictures", (percent) =>
    frame.style.setProperty("--edge", `${percent}%`),
  );
  /** The whole picture is the slider's way. */
  const surface = h("div", { class: "compare-surface" }, slider.node);
  surface.addEventListener("pointerdown", (event) => {
    surface.setPointerCapture(event.pointerId);
    slider.moveTo(event, surface);
  });
  surface.addEventListener("pointermove", (event) => {
    if (surface.hasPointerCapture(event.pointerId)) slider.moveTo(event, surface);
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
  slider.set(50);
  frame.append(other, surface, label);
  frame.classList.add("comparing");
  slider.node.focus();
  return {
    end: () => {
      for (const node of [other, surface, label]) node.remove();
      frame.classList.remove("comparing");
    },
  };
}
