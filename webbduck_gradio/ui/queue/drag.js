// @ts-check
// Drag and drop of the queue's rows, with mouse, pen or touch.

/**
 * `movedWith(id)` returns the ids that move along with a row; `reordered(order, moved, place)` is called with
 * the new order of ids, the moved ones, and the position of the first of them, from 1.
 *
 * @param {any} actions
 */
export function makeDragging({ rows, isQueued, queuedIds, movedWith, announce, reordered, ended }) {
  let dragging = null;
  function grab(event, id) {
    if (event.button || !isQueued(id) || dragging) return;
    event.preventDefault();
    const entry = rows.get(id);
    entry.grip.focus({ preventScroll: true });
    entry.grip.setPointerCapture(event.pointerId);
    const moved = movedWith(id);
    const others = queuedIds()
      .filter((each) => !moved.includes(each))
      .map((each) => rows.get(each).row);
    dragging = {
      id,
      moved,
      others,
      at: null,
      entry,
      start: event.clientY + window.scrollY,
      y: event.clientY,
    };
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
    const { entry, others, start, y, moved } = dragging;
    entry.row.style.transform = `translateY(${y + window.scrollY - start}px)`;
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
    announce(`${moved.length > 1 ? `${moved.length} jobs` : "Job"} to position ${at + 1}.`);
  }

  /** Scroll the page while the pointer is near the edge of the window. */
  function autoScroll() {
    if (!dragging) return;
    const edge = 70;
    const { y } = dragging;
    const by = y < edge + 48 ? -8 : y > window.innerHeight - edge ? 8 : 0;
    if (by && dragging.at !== null) {
      window.scrollBy(0, by);
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
    const { entry, moved, others, at } = dragging;
    entry.grip.removeEventListener("pointermove", drag);
    entry.grip.removeEventListener("pointerup", drop);
    entry.grip.removeEventListener("pointercancel", drop);
    document.removeEventListener("keydown", cancelDrag, true);
    entry.row.style.transform = "";
    for (const each of moved) rows.get(each)?.row.classList.remove("dragged");
    for (const row of others) row.classList.remove("before", "behind");
    dragging = null;
    const order = others.map((row) => row.dataset.id);
    if (event.type === "pointerup" && at !== null) {
      order.splice(at, 0, ...moved);
      if (order.join() !== queuedIds().join()) reordered(order, moved, at + 1);
    }
    ended();
  }

  return {
    grab,
    get isActive() {
      return dragging !== null;
    },
  };
}
