// @ts-check
// Drag and drop of the rows of a list, with mouse, pen or touch.

/**
 * Make rows movable by their grips, whose `pointerdown` has to call `grab(event, id)`.
 *
 * @param {object} list
 * @param {Map<any, {row: any, grip: any}>} list.rows by id
 * @param {() => any[]} list.ids of the movable rows, in their order
 * @param {(id: any) => any[]} [list.movedWith] ids that move along with a row, itself included
 * @param {(place: number, moved: any[]) => void} [list.announce] the place that it would have now, from 1
 * @param {(order: any[], moved: any[], place: number) => void} list.reordered the new order of ids, the moved
 *   ones, and the place of the first of them, from 1
 * @param {() => void} [list.ended] called after each drag
 */
export function makeDragging({ rows, ids, movedWith = (id) => [id], announce, reordered, ended }) {
  let dragging = null;
  function grab(event, id) {
    if (event.button || !ids().includes(id) || dragging) return;
    event.preventDefault();
    const entry = rows.get(id);
    if (!entry) return;
    entry.grip.focus({ preventScroll: true });
    entry.grip.setPointerCapture(event.pointerId);
    const moved = movedWith(id);
    const rest = ids().filter((each) => !moved.includes(each));
    const others = rest.map((each) => rows.get(each)?.row);
    const scroller = scrollerOf(entry.row);
    const start = event.clientY + scroller.scrollTop;
    dragging = { id, moved, rest, others, at: null, entry, scroller, start, y: event.clientY };
    for (const each of moved) rows.get(each).row.classList.add("dragged");
    entry.grip.addEventListener("pointermove", drag);
    entry.grip.addEventListener("pointerup", drop);
    entry.grip.addEventListener("pointercancel", drop);
    document.addEventListener("keydown", cancelDrag, true);
    autoScroll();
  }

  function drag(event) {
    dragging.y = event.clientY;
    follow();
  }

  function follow() {
    const { entry, others, scroller, start, y, moved } = dragging;
    entry.row.style.transform = `translateY(${y + scroller.scrollTop - start}px)`;
    const at = others.filter((row) => {
      const box = row.getBoundingClientRect();
      return y > box.top + box.height / 2;
    }).length;
    if (at === dragging.at) return;
    dragging.at = at;
    others.forEach((row, index) => {
      row.classList.toggle("before", index === at);
      row.classList.toggle("behind", index === others.length - 1 && at === others.length);
    });
    announce?.(at + 1, moved);
  }

  /** Scroll while the pointer is near the edge of the window or of what scrolls in it. */
  function autoScroll() {
    if (!dragging) return;
    const { y, scroller } = dragging;
    const box = scroller.getBoundingClientRect();
    const [above, below] = scroller === document.scrollingElement ? PAGE_EDGES : PART_EDGES;
    const top = Math.max(0, box.top) + above;
    const bottom = Math.min(window.innerHeight, box.bottom) - below;
    const by = y < top ? -8 : y > bottom ? 8 : 0;
    if (by && dragging.at !== null) {
      scroller.scrollTop += by;
      follow();
    }
    requestAnimationFrame(autoScroll);
  }

  function cancelDrag(event) {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    dragging.at = null;
    drop({ type: "cancelled" });
  }

  function drop(event) {
    const { id, entry, moved, rest, others, at } = dragging;
    entry.grip.removeEventListener("pointermove", drag);
    entry.grip.removeEventListener("pointerup", drop);
    entry.grip.removeEventListener("pointercancel", drop);
    document.removeEventListener("keydown", cancelDrag, true);
    entry.row.style.transform = "";
    for (const each of moved) rows.get(each)?.row.classList.remove("dragged");
    for (const row of others) row.classList.remove("before", "behind");
    dragging = null;
    // Not where the rows were drawn again meanwhile.
    if (event.type === "pointerup" && at !== null && rows.get(id) === entry) {
      const order = [...rest.slice(0, at), ...moved, ...rest.slice(at)];
      if (order.join() !== ids().join()) reordered(order, moved, at + 1);
    }
    ended?.();
  }

  return {
    grab,
    get isActive() {
      return dragging !== null;
    },
  };
}

/** px from the upper and lower edge in which the page scrolls, below its tabs, and a part of it. */
const PAGE_EDGES = [118, 70];
const PART_EDGES = [32, 32];

/** What scrolls when there is no room for a node: a part of the page, or the page. */
function scrollerOf(node) {
  for (let each = node.parentElement; each; each = each.parentElement) {
    if (each.scrollHeight > each.clientHeight && /auto|scroll/.test(getComputedStyle(each).overflowY)) {
      return each;
    }
  }
  return document.scrollingElement ?? document.documentElement;
}
