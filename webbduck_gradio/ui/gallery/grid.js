// @ts-check
// A virtual grid: only cells near the viewport are in the DOM, however many pictures there are.
import { h } from "../shared/dom.js";
import { columnsFor } from "./grid_columns.js";

const GAP = 8;
const HEAD = 30;
const FOOT = 14;
const AHEAD = 700;
export const RUNS_A_PAGE = 30;
export const IMAGES_A_PAGE = 90;
const PAGES_KEPT = 80;
const ASKED_AT_ONCE = 3;
const THUMBS_AT_ONCE = 4;
const SIDES = { small: 132, middle: 188, large: 280 };

/**
 * `ask(start, limit)` resolves to a page of runs (of pictures when flat). `draw` makes nodes: cell(image),
 * head(run), blank(); they are reused while manner() is the same.
 */
export function makeGrid(scroller, canvas, { ask, draw, failed }) {
  let flat = false;
  let counts = [];
  let total = 0;
  let side = "middle";
  let epoch = 0;
  let columns = 1;
  let cell = 188;
  let inset = 0;
  let measured = false;
  let fittedFor = "";
  let asking = 0;
  let rows = { top: [0], first: [] };
  let column = new Uint16Array();
  let pages = new Map();
  let asked = new Map();
  let nodes = new Map();
  const pageSize = () => (flat ? IMAGES_A_PAGE : RUNS_A_PAGE);
  const length = () => (flat ? total : counts.length);

  function measure() {
    const style = getComputedStyle(canvas);
    const width = canvas.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    inset = parseFloat(style.paddingLeft);
    if (width <= 0) return false;
    const wanted = width < 600 ? Math.min(SIDES[side] * 0.64, (width - 2 * GAP) / 2) : SIDES[side];
    const key = `${width} ${side} ${flat} ${asking}`;
    if (key !== fittedFor) {
      fittedFor = key;
      columns = columnsFor(width, wanted, GAP, flat ? [] : counts);
    }
    cell = Math.floor((width - GAP * (columns - 1)) / columns);
    arrange();
    measured = true;
    return true;
  }

  /** Lay runs out side by side, as many as fit into a row; a run longer than a row wraps. */
  function arrange() {
    if (flat) {
      canvas.style.height = `${Math.ceil(total / columns) * (cell + GAP) + FOOT}px`;
      return;
    }
    const top = [];
    const first = [];
    column = new Uint16Array(counts.length);
    let y = 0;
    let at = columns;
    let lines = 0;
    counts.forEach((count, run) => {
      const wide = Math.min(count, columns);
      if (at + wide > columns) {
        if (lines) y += HEAD + lines * (cell + GAP) - GAP + FOOT;
        top.push(y);
        first.push(run);
        at = 0;
        lines = 1;
      }
      column[run] = at;
      at += wide;
      lines = Math.max(lines, Math.ceil(count / columns));
    });
    if (lines) y += HEAD + lines * (cell + GAP) - GAP + FOOT;
    top.push(y);
    rows = { top, first };
    canvas.style.height = `${y + FOOT}px`;
  }

  /** Index of the row at height `y`, by binary search. */
  function rowAt(y) {
    let low = 0;
    let high = Math.max(0, rows.first.length - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (rows.top[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** [from, to): indices of the runs (or pictures) within `ahead` pixels of the viewport. */
  function near(ahead = AHEAD) {
    const from = scroller.scrollTop - ahead;
    const to = scroller.scrollTop + scroller.clientHeight + ahead;
    if (flat) {
      const step = cell + GAP;
      return [
        Math.max(0, Math.floor(from / step)) * columns,
        Math.min(total, Math.ceil(to / step) * columns),
      ];
    }
    if (!counts.length) return [0, 0];
    const last = rowAt(to) + 1;
    return [
      rows.first[rowAt(Math.max(0, from))],
      last < rows.first.length ? rows.first[last] : counts.length,
    ];
  }

  const nameOf = (found) => (flat ? found.id : found.run);
  /** The first item in the viewport, and how far the view is scrolled into it, in pixels. */
  function inView() {
    const [first] = near(0);
    const found = item(first);
    return found ? { name: nameOf(found), into: scroller.scrollTop - placeOf(first).y } : null;
  }
  const item = (index) => pages.get(Math.floor(index / pageSize()))?.[index % pageSize()];
  const placeOf = (index) =>
    flat
      ? { x: (index % columns) * (cell + GAP), y: Math.floor(index / columns) * (cell + GAP) }
      : { x: column[index] * (cell + GAP), y: rows.top[rowOf(index)] };
  function rowOf(run) {
    let low = 0;
    let high = rows.first.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (rows.first[middle] <= run) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  const keyOf = (found, index) => `${draw.manner()} ${contentOf(found, index)}`;
  const contentOf = (found, index) =>
    !found
      ? `blank ${index} ${flat ? 1 : counts[index]}`
      : flat
        ? `${found.id} ${found.v} ${found.favourite ?? ""} ${found.variants?.length ?? 0}`
        : `${found.run} ${found.total} ${found.images.map(versionOf).join()}`;
  const versionOf = (image) => `${image.id}${image.v}${image.favourite ?? ""}${image.variants?.length ?? 0}`;

  function make(found, index) {
    if (flat) return found ? draw.cell(found) : draw.blank();
    const cells = found
      ? found.images.slice(0, counts[index]).map((image, place) => draw.cell(image, found, place))
      : Array.from({ length: counts[index] }, draw.blank);
    return h(
      "article",
      {
        class: "g-run",
        "data-run": found?.run ?? null,
        "aria-label": found ? draw.labelOf(found) : "Loading",
      },
      found ? draw.head(found) : h("header", { class: "g-head" }),
      h("div", { class: "g-cells" }, cells),
    );
  }

  function render() {
    if (!scroller.clientHeight || (!measured && !measure())) return;
    const [from, to] = near();
    const kept = new Map();
    for (let index = from; index < to; index += 1) {
      const found = item(index);
      if (!found) want(Math.floor(index / pageSize()));
      const key = keyOf(found, index);
      const node = nodes.get(key) ?? make(found, index);
      kept.set(key, node);
      const { x, y } = placeOf(index);
      const wide = flat ? 1 : Math.min(counts[index], columns);
      node.style.transform = `translate(${x + inset}px, ${y}px)`;
      node.style.width = `${wide * (cell + GAP) - GAP}px`;
      node.style.setProperty("--columns", wide);
      if (flat) node.style.height = `${cell}px`;
      node.dataset.index = index;
      if (node.parentNode !== canvas) canvas.append(node);
    }
    for (const [key, node] of nodes) if (!kept.has(key)) node.remove();
    nodes = kept;
    canvas.style.setProperty("--cell", `${cell}px`);
    loadThumbs();
  }

  let lastTop = 0;
  let lastLoad = 0;
  let waiting = null;
  /** Load thumbnails only of cells that stay in view, not of those scrolled past. */
  function loadThumbs() {
    clearTimeout(waiting);
    const distance = Math.abs(scroller.scrollTop - lastTop);
    const now = performance.now();
    if (distance > scroller.clientHeight * 1.5 && now - lastLoad < 400) {
      waiting = setTimeout(loadThumbs, 120);
      lastTop = scroller.scrollTop;
      return;
    }
    lastTop = scroller.scrollTop;
    lastLoad = now;
    loadNext();
  }

  const loading = new Set();
  /**
   * A few at a time, those in view first, so that other requests of the page need not wait for all of them.
   */
  function loadNext() {
    for (const image of loading) {
      if (!image.isConnected) {
        image.removeAttribute("src");
        loading.delete(image);
      }
    }
    if (loading.size >= THUMBS_AT_ONCE) return;
    const middle = scroller.getBoundingClientRect().top + scroller.clientHeight / 2;
    const far = (image) => {
      const box = image.parentNode.getBoundingClientRect();
      return Math.abs((box.top + box.bottom) / 2 - middle);
    };
    const waiting = [...canvas.querySelectorAll("img[data-src]")]
      .map((image) => [far(image), image])
      .sort(([one], [other]) => one - other);
    for (const [, image] of waiting.slice(0, THUMBS_AT_ONCE - loading.size)) {
      loading.add(image);
      const done = () => {
        loading.delete(image);
        loadNext();
      };
      image.addEventListener("load", done, { once: true });
      image.addEventListener("error", done, { once: true });
      image.src = image.dataset.src;
      delete image.dataset.src;
    }
  }

  async function want(page) {
    if (asked.has(page) || asked.size >= ASKED_AT_ONCE) return;
    const mine = epoch;
    asked.set(page, true);
    const found = await ask(page * pageSize(), pageSize());
    if (mine !== epoch) return;
    asked.delete(page);
    if (found.error) return failed(found.error);
    keep(page, found.runs ?? found.images);
    schedule();
  }

  function keep(page, items) {
    pages.delete(page);
    pages.set(page, items);
    const [from, to] = near();
    const used = (each) => each >= Math.floor(from / pageSize()) && each <= Math.floor(to / pageSize());
    for (const old of pages.keys()) {
      if (pages.size <= PAGES_KEPT) break;
      if (!used(old)) pages.delete(old);
    }
  }

  let frame = 0;
  const schedule = () => {
    if (!frame) {
      frame = requestAnimationFrame(() => {
        frame = 0;
        render();
      });
    }
  };
  scroller.addEventListener("scroll", schedule, { passive: true });
  new ResizeObserver(() => {
    if (!canvas.clientWidth) return;
    if (!measured) return schedule();
    const [first] = near(0);
    const before = placeOf(Math.min(first, Math.max(0, length() - 1))).y;
    const into = scroller.scrollTop - (length() ? before : 0);
    if (!measure()) return;
    // Keep the same pictures in view.
    if (length() && scroller.scrollTop > cell) scroller.scrollTop = placeOf(first).y + into;
    schedule();
  }).observe(scroller);

  return {
    schedule,
    render,
    get flat() {
      return flat;
    },
    get count() {
      return length();
    },
    get pictures() {
      return flat ? total : counts.reduce((sum, each) => sum + each, 0);
    },
    get columns() {
      return columns;
    },
    resize(wanted) {
      side = wanted;
      measure();
      schedule();
    },
    /** Start over with another query. `page` is its first page; `settle` follows with the counts. */
    begin(isFlat, page) {
      epoch += 1;
      asking += 1;
      pages = new Map();
      asked = new Map();
      flat = isFlat;
      if (flat) total = page.length;
      else counts = page.map((run) => run.images.length);
      pages.set(0, page);
      scroller.scrollTop = 0;
      measured = measure();
      schedule();
    },
    /** Set the counts. `fresh` (pages by number) replaces all known pages; what is in view stays in place. */
    settle(layout, fresh = null) {
      const before = { total, counts };
      const height = canvas.offsetHeight;
      const held = fresh && scroller.scrollTop > cell ? inView() : null;
      if (flat) total = layout.total;
      else counts = layout.counts;
      if (fresh) {
        epoch += 1;
        asked = new Map();
        pages = fresh;
      }
      measure();
      const now =
        held &&
        [...pages].flatMap(([page, items]) =>
          items.flatMap((found, each) => (nameOf(found) === held.name ? [page * pageSize() + each] : [])),
        )[0];
      const grown = flat ? total - before.total : counts.length - before.counts.length;
      const above =
        draw.manner() === "newest" &&
        grown > 0 &&
        (flat || before.counts.every((count, run) => counts[run + grown] === count));
      if (held && now !== undefined) scroller.scrollTop = placeOf(now).y + held.into;
      // So many new items precede it that it is not in these pages.
      else if (held && above) scroller.scrollTop += canvas.offsetHeight - height;
      schedule();
    },
    pagesInView() {
      const [from, to] = near();
      return to > from
        ? Array.from(
            { length: Math.floor((to - 1) / pageSize()) - Math.floor(from / pageSize()) + 1 },
            (_, each) => Math.floor(from / pageSize()) + each,
          )
        : [0];
    },
    pageSize,
    item,
    /** The run (or picture) at an index, fetched if necessary; null past the ends or on an error. */
    async load(index) {
      if (index < 0 || index >= length()) return null;
      if (!item(index)) {
        const page = Math.floor(index / pageSize());
        const mine = epoch;
        const found = await ask(page * pageSize(), pageSize());
        if (mine !== epoch || found.error) return null;
        keep(page, found.runs ?? found.images);
      }
      return item(index) ?? null;
    },
    /** Position of a loaded picture: {index, image: index in its run}; null if it is not loaded. */
    find(id) {
      for (const [page, items] of pages) {
        for (const [each, found] of items.entries()) {
          const image = flat ? (found.id === id ? 0 : -1) : found.images.findIndex((one) => one.id === id);
          if (image >= 0) return { index: page * pageSize() + each, image };
        }
      }
      return null;
    },
    show(index) {
      const { y } = placeOf(index);
      const high = flat ? cell : HEAD + Math.ceil(counts[index] / columns) * (cell + GAP);
      if (y < scroller.scrollTop || y + high > scroller.scrollTop + scroller.clientHeight) {
        scroller.scrollTop = Math.max(0, y - GAP);
      }
      schedule();
    },
  };
}
