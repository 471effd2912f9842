// @ts-check
// Compares two pictures that overlap, with a slider between them.
import { makeCompareSlider } from "./compare_slider.js";
import { makeCombobox } from "./combobox.js";
import { h } from "./dom.js";

/** The choice on the right side that is the picture of the frame itself. */
const SHOWN = -1;

/**
 * Show one of `choices` ({name, source}) over the picture in `frame`, left of a slider, and that picture or
 * another choice right of it. Returns {end}, which removes them.
 */
export function compareIn(frame, choices) {
  const other = h("img", { class: "other", alt: "" });
  const under = h("img", { class: "other under", alt: "", hidden: true });
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
  const entries = choices.map((each, index) => ({ value: index, label: each.name }));
  const left = makeCombobox({
    label: "Compare with",
    className: "against",
    choices: entries,
    value: 0,
    onchange: (index) => {
      other.src = choices[index].source;
    },
  });
  const right = makeCombobox({
    label: "Right side",
    className: "against",
    choices: [{ value: SHOWN, label: "the shown picture" }, ...entries],
    value: SHOWN,
    onchange: (index) => {
      under.hidden = index === SHOWN;
      if (index !== SHOWN) under.src = choices[index].source;
    },
  });
  const side = (name, list) => [h("span", { "aria-hidden": "true" }, name), list.node];
  const label = h("div", { class: "against-label" }, side("Left:", left), side("Right:", right));
  other.src = choices[0].source;
  slider.set(50);
  frame.append(under, other, surface, label);
  frame.classList.add("comparing");
  slider.node.focus();
  return {
    end: () => {
      for (const node of [under, other, surface, label]) node.remove();
      frame.classList.remove("comparing");
    },
  };
}
