// @ts-check
// Compares two pictures that overlap, with a slider between them.
import { makeCompareSlider } from "./compare_slider.js";
import { h } from "./dom.js";

/**
 * Show one of `choices` ({name, source}) over the picture in `frame`, left of a slider. Returns {end}, which
 * removes it.
 */
export function compareIn(frame, choices) {
  const other = h("img", { class: "other", alt: "" });
  const slider = makeCompareSlider("Compare: share of the left picture", (percent) =>
    frame.style.setProperty("--edge", `${percent}%`),
  );
  /** The slider can be dragged from anywhere on the picture. */
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
