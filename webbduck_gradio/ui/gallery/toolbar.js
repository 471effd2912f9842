// @ts-check
// View options, stored in this browser: runs or single pictures, sort order, thumbnail size.
import { makeCombobox } from "../shared/combobox.js";
import { h, phone, put } from "../shared/dom.js";
import { icon } from "../shared/icons.js";
import { getStored, setStored } from "../shared/preferences.js";

// Names as in gallery/index/sort.py.
const ORDERS = [
  ["newest", "Newest first"],
  ["oldest", "Oldest first"],
  ["picture_size", "Largest picture"],
  ["file_size", "Largest file"],
  ["prompt", "Prompt A–Z"],
  ["checkpoint", "Checkpoint A–Z"],
];

/** Whether an order is by time, so that days have headings. */
export const isByTime = (order) => order === "newest" || order === "oldest";

/**
 * Add the controls to `place`; returns their state {flat, order, side}, which they update. On a phone, where
 * there is no room for it, `foldOrder(panel)` puts the order there.
 */
export function makeToolbar(place, { changed, resized, openTrash }) {
  const state = {
    flat: getStored("galleryView", "runs") === "single",
    order: ORDERS.find(([name]) => name === getStored("galleryOrder"))?.[0] ?? "newest",
    side: getStored("gallerySize", "middle"),
    foldOrder(panel) {
      const fold = () => (phone.matches ? panel.append(sorting.node) : runsOrSingle.after(sorting.node));
      phone.addEventListener("change", fold);
      fold();
    },
  };
  const runsOrSingle = h(
    "div",
    { class: "g-switch", role: "group", "aria-label": "Arrangement" },
    [
      ["runs", "Runs"],
      ["single", "Single"],
    ].map(([name, text]) =>
      h(
        "button",
        {
          type: "button",
          "data-view": name,
          title: name === "runs" ? "Group the pictures of each job" : "Every picture separately",
          onclick: () => {
            state.flat = name === "single";
            setStored("galleryView", name);
            show();
            changed();
          },
        },
        text,
      ),
    ),
  );
  const sorting = makeCombobox({
    className: "g-filter",
    label: "Order",
    title: "A run is sorted by the first of its pictures",
    choices: ORDERS.map(([value, label]) => ({ value, label })),
    value: state.order,
    onchange: (order) => {
      state.order = order;
      setStored("galleryOrder", state.order);
      changed();
    },
  });
  const sizing = h(
    "div",
    { class: "g-switch g-sizes", role: "group", "aria-label": "Size of the thumbnails" },
    [
      ["small", "S"],
      ["middle", "M"],
      ["large", "L"],
    ].map(([name, text]) =>
      h(
        "button",
        {
          type: "button",
          "data-size": name,
          title: `${name[0].toUpperCase()}${name.slice(1)} thumbnails`,
          onclick: () => {
            state.side = name;
            setStored("gallerySize", name);
            show();
            resized();
          },
        },
        text,
      ),
    ),
  );
  put(
    place,
    runsOrSingle,
    sorting.node,
    sizing,
    h(
      "button",
      { type: "button", class: "g-act g-open-trash", title: "Deleted pictures", onclick: openTrash },
      icon("trash"),
      "Trash",
    ),
  );
  function show() {
    for (const each of runsOrSingle.children) {
      each.setAttribute("aria-pressed", String((each.dataset.view === "single") === state.flat));
    }
    for (const each of sizing.children) {
      each.setAttribute("aria-pressed", String(each.dataset.size === state.side));
    }
  }
  show();
  return state;
}
