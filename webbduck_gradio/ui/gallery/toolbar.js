// @ts-check
// How the gallery is arranged: by runs or single, the order, the thumbnails' size. This browser keeps it.
import { h, put } from "../shared/dom.js";
import { icon } from "../shared/icons.js";
import { getStored, setStored } from "../shared/preferences.js";

// As gallery/index/sort.py names them.
const ORDERS = [
  ["newest", "Newest first"],
  ["oldest", "Oldest first"],
  ["picture_size", "Largest picture"],
  ["file_size", "Largest file"],
  ["prompt", "Prompt A–Z"],
  ["checkpoint", "Checkpoint A–Z"],
];

/** Puts the controls into `place`; answers {flat, order, side}, which they change. */
export function makeToolbar(place, { changed, resized, openTrash }) {
  const state = {
    flat: getStored("galleryView", "runs") === "single",
    order: ORDERS.find(([name]) => name === getStored("galleryOrder"))?.[0] ?? "newest",
    side: getStored("gallerySize", "middle"),
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
          title: name === "runs" ? "Pictures of one job side by side" : "Every picture for itself",
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
  const sorting = h(
    "select",
    {
      class: "g-filter",
      "aria-label": "Order",
      title: "A run stands where the first of its pictures would stand",
      onchange: (event) => {
        state.order = event.target.value;
        setStored("galleryOrder", state.order);
        changed();
      },
    },
    ORDERS.map(([name, text]) => h("option", { value: name }, text)),
  );
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
  sorting.value = state.order;
  put(
    place,
    runsOrSingle,
    sorting,
    sizing,
    h(
      "button",
      { type: "button", class: "g-act g-open-trash", title: "What was deleted", onclick: openTrash },
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
