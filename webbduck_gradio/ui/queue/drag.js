// @ts-check
// Rows of the queue are dragged to another place, with mouse, pen or finger.

/**
 * `movedWith(id)` are the ids that move with this one; `reordered(order, moved, place)` gets the new order.
 *
 * @param {any} actions
 */
export function makeDragging({ rows, isQueued, queuedIds, movedWith, speak, reordered, ended }) {
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
    document.addEventListener("keydown", giveUp, true);
    scrolling();
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
    // The first report of a drag that has not left its place shows no line.
    dragging.at = at;
    others.forEach((row, index) => {
      row.classList.toggle("before", index === at);
      row.classList.toggle("behind", index === others.length - 1 && at === others.length);
    });
    speak(`${moved.length > 1 ? `${moved.length} jobs` : "Job"} to number ${at + 1}.`);
  }

  /** Near the edge of the window the page scrolls along. */
  function scrolling() {
    if (!dragging) return;
    const edge = 70;
    const { y } = dragging;
    const by = y < edge + 48 ? -8 : y > window.innerHeight - edge ? 8 : 0;
    if (by && dragging.at !== null) {
      window.scrollBy(0, by);
      follow();
    }
    requestAnimationFrame(scrolling);
  }

  function giveUp(event) {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    dragging.at = null;
    drop({ type: "given-up" });
  }

  function drop(event) {
    const { entry, moved, others, at } = dragging;
    entry.grip.removeEventListener("pointermove", drag);
    entry.grip.removeEventListener("pointerup", drop);
    entry.grip.removeEventListener("pointercancel", drop);
    document.removeEventListener("keydown", giveUp, true);
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
