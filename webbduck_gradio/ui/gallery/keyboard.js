// @ts-check
// The grid by arrow keys.

/** The cell that an arrow key leads to, by where it is on the screen. */
function neighbour(canvas, here, key) {
  if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(key)) return null;
  const from = here.getBoundingClientRect();
  const along = key === "ArrowLeft" || key === "ArrowRight";
  const sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  let best = null;
  let least = Infinity;
  for (const each of canvas.querySelectorAll(".cell[data-id]")) {
    const to = each.getBoundingClientRect();
    const dx = to.left - from.left;
    const dy = to.top - from.top;
    const ahead = sign * (along ? dx + dy * 1000 : dy);
    const aside = along ? 0 : Math.abs(dx);
    if (each === here || ahead <= (along ? 0 : from.height / 2)) continue;
    const far = ahead + aside * 4;
    if (far < least) {
      least = far;
      best = each;
    }
  }
  return best;
}

/** `isAside()`: something else than the grid is shown. */
export function listenForKeys(view, { canvas, choice, isAside, search, remove }) {
  view.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || isAside()) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      event.preventDefault();
      choice.all();
      return;
    }
    if (event.key === "Escape" && choice.any) {
      choice.clear();
      return;
    }
    if (event.key === "/") {
      event.preventDefault();
      search();
      return;
    }
    if (event.key === "Delete" && choice.any) {
      remove([...choice.ids]);
      return;
    }
    const here = event.target.closest?.(".cell[data-id]");
    if (!here) return;
    if (event.key.toLowerCase() === "x") {
      event.preventDefault();
      choice.toggle(here.dataset.id);
      return;
    }
    const to = neighbour(canvas, here, event.key);
    if (to) {
      event.preventDefault();
      to.querySelector(".open").focus();
    }
  });
}

/** The search field: it searches while one types; the arrow key down leads to the grid. */
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
