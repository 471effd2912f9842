// @ts-check
// How pictures of one size are laid out side by side.

/** Between two pictures, in px, as in viewer_grid.css. */
const GAP = 8;

/**
 * Number of columns and width in px with which `count` pictures of `ratio` (width by height) are largest in
 * a space of `width` × `height` px.
 */
export function arranged(count, ratio, width, height) {
  let best = { columns: 1, side: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const side = Math.floor(
      Math.min((width - GAP * (columns - 1)) / columns, ((height - GAP * (rows - 1)) / rows) * ratio),
    );
    if (side > best.side) best = { columns, side };
  }
  return best;
}
