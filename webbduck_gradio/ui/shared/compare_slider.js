// @ts-check
// The slider between two overlapping pictures, moved by pointer or keys.
import { h } from "./dom.js";

const KEYS = { ArrowLeft: -2, ArrowRight: 2, Home: -100, End: 100 };

/**
 * A slider, positioned at a percentage of the width of its parent.
 *
 * @param {string} label
 * @param {(percent: number) => void} moved called with each new position
 */
export function makeCompareSlider(label, moved) {
  let percent = 50;
  const node = h(
    "div",
    {
      class: "compare-slider",
      role: "slider",
      tabindex: "0",
      "aria-label": label,
      "aria-valuemin": "0",
      "aria-valuemax": "100",
    },
    h("span", { class: "compare-grip" }),
  );
  function set(wanted) {
    percent = Math.max(0, Math.min(100, wanted));
    node.style.left = `${percent}%`;
    node.setAttribute("aria-valuenow", String(Math.round(percent)));
    moved(percent);
  }
  node.addEventListener("keydown", (event) => {
    const by = KEYS[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    set(percent + by);
  });
  return {
    node,
    set,
    /** Move to the pointer's position on the surface. */
    moveTo(event, surface) {
      const box = surface.getBoundingClientRect();
      set(((event.clientX - box.left) / box.width) * 100);
    },
  };
}
