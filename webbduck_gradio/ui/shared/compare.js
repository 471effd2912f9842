// @ts-check
// Compares two pictures that overlap, with a slider between them.
import { makeCompareSlider } from "./compare_slider.js";
import { makeCombobox } from "./combobox.js";
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
  const choose = makeCombobox({
    label: "Compare with",
    className: "against",
    choices: choices.map((each, index) => ({ value: index, label: each.name })),
    value: 0,
    onchange: (index) => {
      other.src = choices[index].source;
    },
  });
  const label = h(
    "div",
    { class: "against-label" },
    h("span", { "aria-hidden": "true" }, "Left:"),
    choose.node,
  );
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
