// @ts-check
// The arithmetic of zooming and moving, for every view that shows a picture at a scale.

export class PanZoom {
  /** Pixels of the screen for each unit of the picture. */
  scale = 1;
  /** Where the picture's origin lies in the view, in pixels of the screen. */
  left = 0;
  top = 0;

  /** @param {{least: number, most: number, changed: () => void}} options `changed` after each movement */
  constructor({ least, most, changed }) {
    this.least = least;
    this.most = most;
    this.changed = changed;
  }

  set(scale, left, top) {
    this.scale = scale;
    this.left = left;
    this.top = top;
    this.changed();
  }

  /** Zoom; the point (x, y) of the view stays where it is. */
  zoomTo(wanted, x, y) {
    const next = Math.min(this.most, Math.max(this.least, wanted));
    const factor = next / this.scale;
    this.set(next, x - (x - this.left) * factor, y - (y - this.top) * factor);
  }

  moveBy(dx, dy) {
    this.set(this.scale, this.left + dx, this.top + dy);
  }

  /** As large as the whole of it fits into a view, in the middle of it. */
  fit(width, height, viewWidth, viewHeight, margin = 0) {
    const scale = Math.min((viewWidth - margin) / width, (viewHeight - margin) / height);
    this.set(scale, (viewWidth - width * scale) / 2, (viewHeight - height * scale) / 2);
  }
}

/**
 * Zoom with the wheel, around the pointer.
 *
 * @param {HTMLElement} view
 * @param {PanZoom} panZoom
 * @param {(event: MouseEvent) => [number, number]} pointOf where in the view an event is
 * @param {(event: WheelEvent) => number} [speedOf] zoom for each pixel that is scrolled
 */
export function zoomByWheel(view, panZoom, pointOf, speedOf = () => 1 / 400) {
  const zoom = (event) => {
    event.preventDefault();
    panZoom.zoomTo(panZoom.scale * Math.exp(-event.deltaY * speedOf(event)), ...pointOf(event));
  };
  view.addEventListener("wheel", zoom, { passive: false });
}
