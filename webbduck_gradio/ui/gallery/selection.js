// @ts-check
// The selection: by checkbox, Ctrl, Shift or long press; and the actions on it.
import { h, put } from "../shared/dom.js";
import { number } from "../shared/format.js";
import { icon, iconButton } from "../shared/icons.js";
import { setUnavailable } from "../shared/unavailable.js";

const LONG_PRESS = 450;
export const MAX_SELECTED = 5000;

/**
 * `bar` shows the actions, {name: {text, title, run(ids), unfit(count)}}; `all(limit)` resolves to every id.
 */
export function createSelection(bar, canvas, actions, { all }) {
  const ids = new Set();
  let anchor = null;
  let busy = false;
  const count = h("span", { class: "g-selected-count", role: "status" });
  const buttons = Object.entries(actions).map(([name, action]) => [
    action,
    h(
      "button",
      {
        type: "button",
        class: `g-act ${name}`,
        title: action.title ?? action.text,
        onclick: () => work(() => action.run([...ids])),
      },
      action.icon ? icon(action.icon) : null,
      action.text,
    ),
  ]);
  const everything = h(
    "button",
    {
      type: "button",
      class: "g-act",
      title: "Select all results (Ctrl+A)",
      onclick: () => work(async () => add(await all(MAX_SELECTED))),
    },
    "All",
  );
  put(
    bar,
    count,
    buttons.map(([, button]) => button),
    h("span", { class: "g-gap" }),
    everything,
    iconButton("close", "Select none (Esc)", clear, { class: "g-icon" }),
  );

  async function work(action) {
    if (busy) return;
    busy = true;
    bar.setAttribute("aria-busy", "true");
    try {
      await action();
    } finally {
      busy = false;
      bar.removeAttribute("aria-busy");
    }
  }
  function show() {
    bar.hidden = !ids.size;
    count.textContent = `${number(ids.size)} selected`;
    for (const [action, button] of buttons) setUnavailable(button, action.unfit?.(ids.size) ?? null);
    canvas.classList.toggle("selecting", ids.size > 0);
    for (const each of canvas.querySelectorAll(".cell[data-id]")) mark(each);
  }
  function mark(node) {
    const on = ids.has(node.dataset.id);
    node.classList.toggle("picked", on);
    node.querySelector(".tick")?.setAttribute("aria-checked", String(on));
  }
  function toggle(id) {
    if (!ids.delete(id)) ids.add(id);
    anchor = id;
    show();
  }
  function add(more) {
    for (const id of more) if (ids.size < MAX_SELECTED) ids.add(id);
    show();
  }
  function clear() {
    ids.clear();
    anchor = null;
    show();
  }

  return {
    ids,
    mark,
    toggle,
    add,
    clear,
    get anchor() {
      return anchor;
    },
    get any() {
      return ids.size > 0;
    },
    all: () => work(async () => add(await all(MAX_SELECTED))),
    drop(gone) {
      for (const id of gone) ids.delete(id);
      show();
    },
    /** On touch screens a long press selects. */
    listen(node, id) {
      let timer = null;
      const end = () => clearTimeout(timer);
      node.addEventListener("pointerdown", (event) => {
        delete node.dataset.held; // a long press may end without a click
        if (event.pointerType === "mouse") return;
        timer = setTimeout(() => {
          node.dataset.held = "1";
          navigator.vibrate?.(10);
          toggle(id);
        }, LONG_PRESS);
      });
      for (const name of ["pointerup", "pointercancel", "pointermove", "pointerleave"]) {
        node.addEventListener(name, (event) => {
          if (name !== "pointermove" || Math.hypot(event.movementX, event.movementY) > 6) end();
        });
      }
      node.addEventListener("contextmenu", (event) => {
        if (node.dataset.held) event.preventDefault();
      });
    },
  };
}

/** Ids of all pictures between two, fetched if necessary; null if either end is not loaded. */
export async function idsBetween(grid, anchor, id) {
  const from = grid.find(anchor);
  const to = grid.find(id);
  if (!from || !to) return null;
  const [first, last] =
    from.index < to.index || (from.index === to.index && from.image <= to.image) ? [from, to] : [to, from];
  const ids = [];
  for (let index = first.index; index <= last.index && ids.length < MAX_SELECTED; index += 1) {
    const found = await grid.load(index);
    if (!found) continue;
    const images = grid.flat ? [found] : found.images;
    images.forEach((image, each) => {
      if (
        !grid.flat &&
        ((index === first.index && each < first.image) || (index === last.index && each > last.image))
      ) {
        return;
      }
      ids.push(image.id);
    });
  }
  return ids;
}
