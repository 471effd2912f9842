// @ts-check
// The sliders of the mask editor's brush.
import { h } from "../shared/dom.js";

/**
 * Sliders for size, hardness and opacity. `longest`: the longer side of the picture, in pixels.
 *
 * @param {{size: number, hardness: number, opacity: number}} values in pixels, percent, percent
 * @param {number} longest
 * @param {(values: {size: number, hardness: number, opacity: number}) => void} changed
 */
export function brushSliders(values, longest, changed) {
  const most = Math.max(16, Math.round(longest / 2));
  const now = { ...values };
  const sliders = {
    // Logarithmic, so that small brush sizes can be set as precisely as large ones.
    size: slider("Size", {
      unit: "px",
      limits: [1, most],
      places: [0, 100],
      toPlace: (size) => (100 * Math.log(size)) / Math.log(most),
      fromPlace: (place) => most ** (place / 100),
      name: "brush-size",
    }),
    hardness: slider("Hardness", { unit: "%", limits: [0, 100], name: "brush-hardness" }),
    // Less would count as black (storage/masks.py).
    opacity: slider("Opacity", { unit: "%", limits: [10, 100], name: "brush-opacity" }),
  };
  function slider(
    label,
    { unit, limits, name, places = limits, toPlace = (value) => value, fromPlace = (place) => place },
  ) {
    const key = label.toLowerCase();
    const exact = h("output", { class: name });
    const input = h("input", {
      type: "range",
      class: "range",
      min: String(places[0]),
      max: String(places[1]),
      step: "1",
      "aria-label": `Brush ${key}`,
      oninput: (event) => set(fromPlace(Number(event.target.value))),
    });
    function show() {
      input.value = String(Math.round(toPlace(now[key])));
      exact.textContent = `${now[key]} ${unit}`;
      input.setAttribute("aria-valuetext", exact.textContent);
    }
    function set(value) {
      now[key] = Math.min(limits[1], Math.max(limits[0], Math.round(value)));
      show();
      changed({ ...now });
    }
    show();
    return { set, node: h("label", { class: "brush" }, h("span", { class: "label" }, label), exact, input) };
  }
  return {
    element: h(
      "div",
      { class: "group sizes", role: "group", "aria-label": "Brush" },
      Object.values(sliders).map((each) => each.node),
    ),
    /** Actions by key: brackets as in other editors, with Shift for the hardness. */
    keys: {
      "[": () => sliders.size.set(Math.min(now.size - 1, now.size / 1.15)),
      "]": () => sliders.size.set(Math.max(now.size + 1, now.size * 1.15)),
      "{": () => sliders.hardness.set(now.hardness - 10),
      "}": () => sliders.hardness.set(now.hardness + 10),
      "<": () => sliders.opacity.set(now.opacity - 10),
      ">": () => sliders.opacity.set(now.opacity + 10),
    },
  };
}
