// @ts-check
// Which cell an arrow key leads to, where rows hold cells of different widths.

/**
 * Index of the cell that `key` leads to from the one at `here`; -1 if there is none. Left and right go
 * through the cells as they are read, up and down to the nearest one in the next row.
 *
 * @param {{left: number, top: number, width: number, height: number}[]} boxes of all cells
 * @param {number} here
 * @param {string} key
 */
export function neighbourOf(boxes, here, key) {
  const sign = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[key];
  const from = boxes[here];
  if (!sign || !from) return -1;
  const isAlong = key === "ArrowLeft" || key === "ArrowRight";
  const isSameRow = (box) => Math.abs(box.top - from.top) < Math.min(box.height, from.height) / 2;
  const middle = (box) => box.left + box.width / 2;
  /** Smaller is nearer: the row first, then the place in it. */
  const distance = (box) => {
    const rows = isSameRow(box) ? 0 : sign * (box.top - from.top);
    if (isAlong) return isSameRow(box) ? [0, sign * (box.left - from.left)] : [rows, sign * box.left];
    return [rows, Math.abs(middle(box) - middle(from))];
  };
  let best = -1;
  let least = [Infinity, Infinity];
  boxes.forEach((box, index) => {
    const far = distance(box);
    const isAhead = isAlong ? far[0] > 0 || (far[0] === 0 && far[1] > 0) : far[0] > 0;
    if (index === here || !isAhead) return;
    if (far[0] < least[0] || (far[0] === least[0] && far[1] < least[1])) {
      least = far;
      best = index;
    }
  });
  return best;
}
