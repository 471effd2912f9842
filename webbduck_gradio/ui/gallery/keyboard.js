// @ts-check
// Keyboard control of the grid and the search field.
import { neighbourOf } from "./neighbour.js";

/** The cell in the direction of an arrow key. */
function neighbour(canvas, here, key) {
  const cells = [...canvas.querySelectorAll(".cell[data-id]")];
  const boxes = cells.map((cell) => cell.getBoundingClientRect());
  return cells[neighbourOf(boxes, cells.indexOf(here), key)] ?? null;
}

/** `isAside()`: whether another view covers the grid. */
export function listenForKeys(view, { canvas, selection, isAside, search, remove }) {
  view.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || isAside()) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      event.preventDefault();
      selection.all();
      return;
    }
    if (event.key === "Escape" && selection.any) {
      selection.clear();
      return;
    }
    if (event.key === "/") {
      event.preventDefault();
      search();
      return;
    }
    if (event.key === "Delete" && selection.any) {
      remove([...selection.ids]);
      return;
    }
    const here = event.target.closest?.(".cell[data-id]");
    if (!here) return;
    if (event.key.toLowerCase() === "x") {
      event.preventDefault();
      selection.toggle(here.dataset.id);
      return;
    }
    const to = neighbour(canvas, here, event.key);
    if (to) {
      event.preventDefault();
      to.querySelector(".open").focus();
    }
  });
}

/** The search field searches while typing; arrow down moves the focus to the grid. */
export function listenInSearch(query, { search, showAll, toGrid }) {
  let typing = null;
  query.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(search, 180);
  });
  query.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      clearTimeout(typing);
      search();
    }
    if (event.key === "Escape" && query.value) {
      event.stopPropagation();
      showAll();
    }
    if (event.key === "ArrowDown") {
      event.preventDefault();
      toGrid();
    }
  });
}

/** A click elsewhere closes the help about the search; Esc does, too, and leaves the search text alone. */
export function closeHelpOutside(help, search, signal) {
  document.addEventListener(
    "click",
    (event) => {
      if (!event.target.closest?.(".g-help")) help.open = false;
    },
    { signal },
  );
  search.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || !help.open) return;
      event.stopPropagation();
      if (help.contains(document.activeElement)) help.querySelector("summary").focus();
      help.open = false;
    },
    true,
  );
}
