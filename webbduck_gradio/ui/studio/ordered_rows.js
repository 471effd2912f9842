// @ts-check
// The rows of a list whose order counts: buttons and a grip that move them, and one that removes them.
import { button, h, put } from "../shared/dom.js";
import { makeDragging } from "../shared/drag.js";

/**
 * Rows for the entries of a list, each a `li` that `row(entry, order)` makes; `order` holds the `grip` and
 * the `buttons` to put into it.
 *
 * @param {object} options
 * @param {any} options.rows the `ol`
 * @param {() => Record<string, any>[]} options.list each has a `name`; they are moved and taken out in place
 * @param {(entry: any, order: {grip: any, buttons: any}) => any} options.row
 * @param {() => void} options.changed called when the list has changed; it draws the rows again
 * @param {() => any} options.opener gets the focus when the last row is gone
 */
export function makeOrderedRows({ rows, list, row, changed, opener }) {
  /** @type {Map<number, {row: any, grip: any}>} by place */
  const shown = new Map();
  const dragging = makeDragging({
    rows: shown,
    ids: () => [...shown.keys()],
    reordered([...order]) {
      const entries = [...list()];
      list().splice(0, Infinity, ...order.map((place) => entries[place]));
      changed();
    },
  });

  function move(place, by) {
    list().splice(place + by, 0, ...list().splice(place, 1));
    changed();
    const { row: moved } = shown.get(place + by) ?? {};
    const again = moved?.querySelector(by < 0 ? ".up" : ".down");
    (again?.disabled ? moved.querySelector(by < 0 ? ".down" : ".up") : again)?.focus();
  }

  function remove(place) {
    list().splice(place, 1);
    changed();
    const next = shown.get(Math.min(place, list().length - 1));
    (next?.row.querySelector(".remove") ?? opener())?.focus();
  }

  function control(text, name, title, kind, act, disabled = false) {
    return button(text, act, { class: kind, title, "aria-label": `${title}: ${name}`, disabled });
  }

  function draw() {
    shown.clear();
    const count = list().length;
    put(
      rows,
      list().map((entry, place) => {
        const { name } = entry;
        // The buttons do the same for keys and screen readers.
        const grip = h("span", { class: "grip", title: "Drag to reorder", "aria-hidden": "true" });
        grip.hidden = count < 2;
        grip.addEventListener("pointerdown", (event) => dragging.grab(event, place));
        const buttons = h(
          "span",
          { class: "order" },
          control("↑", name, "Move up", "up", () => move(place, -1), place === 0),
          control("↓", name, "Move down", "down", () => move(place, 1), place === count - 1),
          control("×", name, "Remove", "remove", () => remove(place)),
        );
        const made = row(entry, { grip, buttons });
        shown.set(place, { row: made, grip });
        return made;
      }),
    );
  }
  return { draw };
}
