// @ts-check
// The pictures of a batch side by side, in place of the single one.
import { h, isTyping, listenerSignal, put } from "../shared/dom.js";
import { imageIndex } from "../shared/seeds.js";
import { imageUrl } from "../shared/urls.js";
import { isCovered } from "../shared/widgets.js";
import { arranged } from "./grid_layout.js";

/**
 * `stage` and its `canvas`, the single picture; `toggle`, the button; `pick(job, id)` shows a picture alone,
 * `changed()` is called when the grid opens or closes.
 *
 * @param {any} options
 */
export function makeGrid({ stage, canvas, toggle, pick, changed }) {
  const signal = listenerSignal("viewer_grid");
  const grid = h("div", {
    class: "batch-grid",
    role: "group",
    "aria-label": "Pictures of this batch, side by side",
    hidden: true,
  });
  canvas.after(grid);
  let batch = null;
  let key = "";

  const isPossible = () => Boolean(batch) && batch.images.length + batch.pending > 1;
  function set(open) {
    if (open === !grid.hidden || (open && !isPossible())) return;
    grid.hidden = !open;
    canvas.inert = open;
    toggle.setAttribute("aria-pressed", String(open));
    key = "";
    changed();
    if (open) (grid.querySelector("[aria-current]") ?? grid.querySelector("button"))?.focus();
    else toggle.focus({ preventScroll: true });
  }

  function arrange() {
    if (grid.hidden || !batch) return;
    const { columns, side } = arranged(
      batch.images.length + batch.pending,
      batch.ratio,
      grid.clientWidth,
      grid.clientHeight,
    );
    grid.style.setProperty("--columns", String(columns));
    grid.style.setProperty("--side", `${side}px`);
    grid.style.setProperty("--ratio", String(batch.ratio));
  }
  const observer = new ResizeObserver(arrange);
  observer.observe(grid);
  signal.addEventListener("abort", () => observer.disconnect());

  function tile(id) {
    const { job } = batch;
    return h(
      "button",
      {
        type: "button",
        "data-id": id,
        "aria-label": `Picture ${imageIndex(id) + 1} of ${job.request.num_images ?? 1}`,
        onclick: () => {
          set(false);
          pick(job, id);
        },
      },
      h("img", { src: imageUrl(id), alt: "" }),
    );
  }

  toggle.onclick = () => set(grid.hidden);
  grid.addEventListener("keydown", (event) => {
    const columns = Number(grid.style.getPropertyValue("--columns")) || 1;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (!by) return;
    event.preventDefault();
    const all = [...grid.querySelectorAll("button")];
    all[all.indexOf(document.activeElement) + by]?.focus();
  });
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isCovered() || !stage.offsetParent) return;
      if (event.key.toLowerCase() === "g" && !isTyping(event.target) && isPossible()) {
        event.preventDefault();
        set(grid.hidden);
      }
      if (event.key === "Escape" && !grid.hidden && !isTyping(event.target)) {
        event.stopPropagation(); // it would cancel the job
        set(false);
      }
    },
    { capture: true, signal },
  );

  return {
    get isOpen() {
      return !grid.hidden;
    },
    /**
     * Show the batch {job, images, pending, selected, ratio, preview}; null for none. `preview` is the
     * address of the picture that is being drawn.
     */
    draw(now) {
      batch = now;
      toggle.hidden = !isPossible();
      if (!isPossible()) return set(false);
      if (grid.hidden) return;
      const next = [...batch.images, batch.pending].join();
      if (key !== next) {
        key = next;
        const focused =
          grid.contains(document.activeElement) && document.activeElement?.getAttribute("data-id");
        put(
          grid,
          batch.images.map(tile),
          Array.from({ length: batch.pending }, () => h("span", { class: "pending" })),
        );
        arrange();
        if (focused) grid.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
      }
      for (const each of grid.querySelectorAll("button")) {
        if (each.dataset.id === batch.selected) each.setAttribute("aria-current", "true");
        else each.removeAttribute("aria-current");
      }
      const drawn = grid.querySelector(".pending");
      if (drawn && batch.preview) {
        const image = drawn.querySelector("img") ?? drawn.appendChild(h("img", { alt: "Preview" }));
        if (image.getAttribute("src") !== batch.preview) image.src = batch.preview;
      }
    },
  };
}
