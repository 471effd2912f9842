// @ts-check
// The arithmetic of the grid: pictures of one height in each row, as wide as their proportions make them, so
// that a row fills the width. Sizes in pixels.

/** Least and greatest height of a row, as a share of the wanted one. */
const LEAST = 0.7;
const MOST = 1.4;
/** Narrowest and widest cell by its height, in thousandths; what is beyond is shown within such a cell. */
export const NARROWEST = 250;
export const WIDEST = 4000;

/** [length, value] pairs, with the index at which each begins. */
function* spans(encoded, most) {
  let from = 0;
  for (const [length, value] of encoded) {
    if (from >= most) return;
    const to = Math.min(most, from + length);
    yield { from, to, value };
    from = to;
  }
}

/** Sums of width by height before each picture; pictures without a known shape are square. */
function shapeSums(shapes, count) {
  const sums = new Float64Array(count + 1);
  let at = 0;
  for (const span of spans([...shapes, [count, 1000]], count)) {
    const shape = Math.min(WIDEST, Math.max(NARROWEST, span.value)) / 1000;
    for (; at < span.to; at += 1) sums[at + 1] = sums[at] + shape;
  }
  return sums;
}

const off = (height, wanted) => Math.abs(Math.log(height / wanted));

/** Whether all pictures [from, to) have this shape. */
function isSame(sums, from, to, shape) {
  for (let at = from; at < to; at += 1) if (Math.abs(sums[at + 1] - sums[at] - shape) > 1e-6) return false;
  return true;
}

/**
 * Lines of pictures [from, to) that do not fit into one: [{from, to, height}]. Those of one shape have one
 * height and as few places left open at the end as may be.
 */
function linesOf(sums, from, to, { width, height, gap }) {
  const fitted = (start, end) => (width - gap * (end - start - 1)) / (sums[end] - sums[start]);
  const count = to - from;
  const shape = (sums[to] - sums[from]) / count;
  if (isSame(sums, from, to, shape)) {
    let best = 1;
    let least = Infinity;
    for (let each = 1; each <= count; each += 1) {
      const high = (width - gap * (each - 1)) / (each * shape);
      const open = Math.ceil(count / each) * each - count;
      const isFit = high <= MOST * height && high >= LEAST * height;
      const cost = off(high, height) + open / each + (isFit ? 0 : 10);
      if (cost < least) {
        least = cost;
        best = each;
      }
      if (high < LEAST * height) break;
    }
    const high = Math.min((width - gap * (best - 1)) / (best * shape), MOST * height);
    return Array.from({ length: Math.ceil(count / best) }, (_, line) => ({
      from: from + line * best,
      to: Math.min(to, from + (line + 1) * best),
      height: high,
    }));
  }
  const lines = [];
  let start = from;
  while (start < to) {
    let end = start + 1;
    while (end < to && fitted(start, end) > height) end += 1;
    if (end - start > 1 && off(fitted(start, end - 1), height) < off(fitted(start, end), height)) end -= 1;
    const high = fitted(start, end);
    lines.push({ from: start, to: end, height: end === to && high > MOST * height ? height : high });
    start = end;
  }
  return lines;
}

/**
 * Lay out items (runs of pictures, or single pictures) in their order. `counts`: pictures of each item.
 * `shapes`: [length, width by height in thousandths] of the pictures; `days`: [length, day] of the items,
 * empty without headings. `width` of the whole; wanted `height` of a picture; `gap` between pictures; `head`
 * above an item's pictures and `foot` below a row; `heading` of a day.
 *
 * Returns {height, rows: {top, first item}, days: [{day, top, height, from, to}]} and the functions below.
 *
 * @param {{counts: ArrayLike<number>, shapes: [number, number][], days: [number, string][], width: number,
 *   height: number, gap: number, head: number, foot: number, heading: number}} asked
 */
export function layRows(asked) {
  const { counts, shapes, days, width, height, gap, head, foot, heading } = asked;
  const items = counts.length;
  const first = new Uint32Array(items + 1);
  for (let item = 0; item < items; item += 1) first[item + 1] = first[item] + counts[item];
  const sums = shapeSums(shapes, first[items]);
  const left = new Float64Array(items);
  const high = new Float64Array(items);
  const rows = { top: [], first: [] };
  /** @type {Map<number, {from: number, to: number, height: number}[]>} of items that take several lines */
  const wrapped = new Map();
  const sections = [];
  let y = 0;

  /** The height at which items [from, to) fill a row. */
  const fitted = (from, to) => {
    const pictures = first[to] - first[from];
    return (width - gap * (pictures - 1)) / (sums[first[to]] - sums[first[from]]);
  };
  function close(from, to) {
    if (from === to) return;
    const full = fitted(from, to);
    const row = full > MOST * height ? height : full;
    rows.top.push(y);
    rows.first.push(from);
    let x = 0;
    for (let item = from; item < to; item += 1) {
      left[item] = x;
      high[item] = row;
      x += row * (sums[first[item + 1]] - sums[first[item]]) + gap * counts[item];
    }
    y += head + Math.floor(row) + foot;
  }
  function wrap(item) {
    const lines = linesOf(sums, first[item], first[item + 1], { width, height, gap });
    wrapped.set(item, lines);
    rows.top.push(y);
    rows.first.push(item);
    high[item] = lines[0].height;
    y += head + lines.reduce((sum, line) => sum + Math.floor(line.height) + gap, -gap) + foot;
  }
  function section(from, to) {
    let start = from;
    for (let item = from; item < to; item += 1) {
      if (fitted(item, item + 1) < LEAST * height) {
        close(start, item);
        wrap(item);
        start = item + 1;
        continue;
      }
      const now = fitted(start, item + 1);
      if (now > height) continue;
      const before = item > start ? fitted(start, item) : Infinity;
      if (now >= LEAST * height && off(now, height) <= off(before, height)) {
        close(start, item + 1);
        start = item + 1;
      } else {
        close(start, item);
        start = item;
      }
    }
    close(start, to);
  }

  if (days.length) {
    for (const { from, to, value } of spans(days, items)) {
      const top = y;
      y += heading;
      section(from, to);
      sections.push({ day: value, top, height: y - top, from, to });
    }
    section(sections.at(-1)?.to ?? 0, items);
  } else section(0, items);

  const lines = (item) =>
    wrapped.get(item) ?? [{ from: first[item], to: first[item + 1], height: high[item] }];
  return {
    height: y,
    rows,
    days: sections,
    /** Width of an item, and height of its pictures with the gaps between lines. */
    sizeOf(item) {
      const all = lines(item);
      const wide = (line) =>
        line.height * (sums[line.to] - sums[line.from]) + gap * (line.to - line.from - 1);
      return {
        width: Math.max(...all.map(wide)),
        height: all.reduce((sum, line) => sum + Math.floor(line.height) + gap, -gap),
      };
    },
    leftOf: (item) => left[item],
    /** Lines of an item: `from` and `to` count its pictures from 0. */
    linesOf: (item) =>
      lines(item).map((line) => ({ ...line, from: line.from - first[item], to: line.to - first[item] })),
    /** Width of the picture at `place` of an item, in a line of `linesOf`. */
    widthOf: (item, place, line) => line.height * (sums[first[item] + place + 1] - sums[first[item] + place]),
  };
}

/** Index of the last of the ascending `values` that is at most `limit`; 0 if there is none. */
export function lastUpTo(values, limit) {
  let low = 0;
  let high = Math.max(0, values.length - 1);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (values[middle] <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}
