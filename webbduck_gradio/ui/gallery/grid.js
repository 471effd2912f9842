// @ts-check
// A virtual grid: only cells near the viewport are in the DOM, however many pictures there are.
import { h } from "../shared/dom.js";
import { many } from "../shared/format.js";
import { dayHeading } from "./days.js";
import { makeThumbLoader } from "./grid_thumbs.js";
import { lastUpTo, layRows } from "./rows_layout.js";

const GAP = 8;
const HEAD = 30;
const FOOT = 14;
/** Height of a day's heading; it stays at the top while the day is in view. */
const HEADING = 38;
const AHEAD = 700;
export const RUNS_A_PAGE = 30;
export const IMAGES_A_PAGE = 90;
const PAGES_KEPT = 80;
const ASKED_AT_ONCE = 3;
/** Wanted heights of a row's pictures, in pixels. */
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
  let inset = 0;
  let measured = false;
  /** Shapes of the pictures and days of the items, as the server lists them. */
  let sizes = { shapes: [], days: [] };
  let layout = layRows({
    ...{ counts: [], shapes: [], days: [], width: 1, height: 1 },
    ...{ gap: GAP, head: HEAD, foot: FOOT, heading: HEADING },
  });
  /** Counts the layouts, so that a cell gets its size once in each. */
  let laid = 0;
  let pages = new Map();
  let asked = new Map();
  let nodes = new Map();
  /** A place to go to once there is that much to scroll. @type {{index: number, into: number} | null} */
  let awaited = null;
  for (const event of ["wheel", "touchstart", "pointerdown", "keydown"]) {
    scroller.addEventListener(event, () => (awaited = null), { passive: true });
  }
  function arrive() {
    if (!awaited || awaited.index >= length()) return;
    const top = placeOf(awaited.index).y + awaited.into;
    scroller.scrollTop = top;
    if (scroller.scrollTop > top - 2) awaited = null; // otherwise the bar above is still growing
  }
  function use(all) {
    sizes = { shapes: all.shapes, days: all.days };
    if (flat) total = all.total;
    else counts = all.counts;
  }
  const pageSize = () => (flat ? IMAGES_A_PAGE : RUNS_A_PAGE);
  const length = () => (flat ? total : counts.length);

  function measure() {
    const style = getComputedStyle(canvas);
    const width = canvas.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    inset = parseFloat(style.paddingLeft);
    if (width <= 0) return false;
    const wanted = width < 600 ? SIDES[side] * 0.64 : SIDES[side];
    layout = layRows({
      counts: flat ? new Uint8Array(total).fill(1) : counts,
      ...sizes,
      width,
      height: wanted,
      gap: GAP,
      head: flat ? 0 : HEAD,
      foot: flat ? GAP : FOOT,
      heading: HEADING,
    });
    laid += 1;
    canvas.style.height = `${layout.height + FOOT}px`;
    measured = true;
    return true;
  }

  /** [from, to): indices of the runs (or pictures) within `ahead` pixels of the viewport. */
  function near(ahead = AHEAD) {
    const { top, first } = layout.rows;
    if (!first.length) return [0, 0];
    const last = lastUpTo(top, scroller.scrollTop + scroller.clientHeight + ahead) + 1;
    return [first[lastUpTo(top, scroller.scrollTop - ahead)], first[last] ?? length()];
  }

  const nameOf = (found) => (flat ? found.id : found.run);
  /** The first item in the viewport, and how far the view is scrolled into it, in pixels. */
  function inView() {
    const [first] = near(0);
    const found = item(first);
    return found ? { name: nameOf(found), into: scroller.scrollTop - placeOf(first).y } : null;
  }
  const item = (index) => pages.get(Math.floor(index / pageSize()))?.[index % pageSize()];
  const placeOf = (index) => ({
    x: Math.round(layout.leftOf(index)),
    y: layout.rows.top[lastUpTo(layout.rows.first, index)] ?? 0,
  });

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

  /** Give a run or picture, and its cells, their places and sizes. */
  function place(node, index) {
    if (node.dataset.laid === String(laid)) return;
    const { x, y } = placeOf(index);
    const size = layout.sizeOf(index);
    node.dataset.laid = laid;
    node.style.transform = `translate(${x + inset}px, ${y}px)`;
    node.style.width = `${size.width + (flat ? 0 : 1)}px`; // what is rounded up still fits
    const cells = flat ? [node] : node.lastChild.children;
    for (const line of layout.linesOf(index)) {
      for (let at = line.from; at < Math.min(line.to, cells.length); at += 1) {
        cells[at].style.width = `${layout.widthOf(index, at, line)}px`;
        cells[at].style.height = `${Math.floor(line.height)}px`;
      }
    }
  }

  function heading(section) {
    const node = h(
      "div",
      { class: "g-day" },
      h("h3", {}, dayHeading(section.day), h("span", {}, many(picturesIn(section), "picture"))),
    );
    node.style.transform = `translate(0, ${section.top}px)`;
    node.style.height = `${section.height}px`;
    return node;
  }
  const picturesIn = ({ from, to }) => {
    let sum = flat ? to - from : 0;
    if (!flat) for (let index = from; index < to; index += 1) sum += counts[index];
    return sum;
  };

  function render() {
    if (!scroller.clientHeight || (!measured && !measure())) return;
    arrive();
    const [from, to] = near();
    const kept = new Map();
    const keep = (key, create) => kept.set(key, nodes.get(key) ?? create());
    let day = layout.days.findIndex((section) => section.to > from);
    for (let index = from; index < to; index += 1) {
      const section = layout.days[day];
      if (section && (index === section.from || index === from)) {
        const key = `day ${dayHeading(section.day)} ${JSON.stringify(section)} ${picturesIn(section)}`;
        keep(key, () => heading(section));
      }
      if (section && index + 1 === section.to) day += 1;
      const found = item(index);
      if (!found) want(Math.floor(index / pageSize()));
      const key = keyOf(found, index);
      keep(key, () => make(found, index));
      place(kept.get(key), index);
      kept.get(key).dataset.index = index;
    }
    const focused = focusedControl();
    for (const [key, node] of nodes) if (!kept.has(key)) node.remove();
    // In the order in which they are seen, which is that of the Tab key.
    let before = null;
    for (const node of kept.values()) {
      const next = before ? before.nextSibling : canvas.firstChild;
      if (node !== next) canvas.insertBefore(node, next);
      before = node;
    }
    nodes = kept;
    if (focused && !canvas.contains(document.activeElement)) {
      canvas.querySelector(focused)?.focus({ preventScroll: true });
    }
    loadThumbs();
  }

  /** Selector of the control of a cell that has the focus, which its cell drawn anew gets back. */
  function focusedControl() {
    const control = canvas.contains(document.activeElement) ? document.activeElement : null;
    const id = control?.closest(".cell[data-id]")?.getAttribute("data-id");
    return id && `.cell[data-id="${CSS.escape(id)}"] .${control.classList[0]}`;
  }

  const loadThumbs = makeThumbLoader(scroller, canvas);

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
    if (length() && scroller.scrollTop > SIDES[side]) scroller.scrollTop = placeOf(first).y + into;
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
    resize(wanted) {
      side = wanted;
      measure();
      schedule();
    },
    /** Start over with another query: its first page, and the sizes and days of all. */
    begin(isFlat, page, all) {
      epoch += 1;
      pages = new Map([[0, page]]);
      asked = new Map();
      flat = isFlat;
      use(all);
      scroller.scrollTop = 0;
      measured = measure();
      schedule();
    },
    /** Set the sizes and days. `fresh` (pages by number) replaces the known pages; what is in view stays. */
    settle(all, fresh) {
      const before = { total, counts };
      const height = canvas.offsetHeight;
      const held = scroller.scrollTop > SIDES[side] ? inView() : null;
      use(all);
      epoch += 1;
      asked = new Map();
      pages = fresh;
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
      const high = (flat ? 0 : HEAD) + layout.sizeOf(index).height;
      const covered = layout.days.length ? HEADING : 0;
      if (y < scroller.scrollTop + covered || y + high > scroller.scrollTop + scroller.clientHeight) {
        scroller.scrollTop = Math.max(0, y - covered - GAP);
      }
      schedule();
    },
    /** What is at the top of the view, for `goTo`: {index, into: pixels scrolled into it}. */
    get place() {
      const [index] = near(0);
      return { index, into: length() ? scroller.scrollTop - placeOf(index).y : 0 };
    },
    goTo(place) {
      awaited = place;
      schedule();
    },
  };
}
