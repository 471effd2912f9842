// @ts-check
// Zooming and panning of a picture, shared by all views.

export class PanZoom {
  /** Screen pixels per picture unit. */
  scale = 1;
  /** Position of the picture's origin in the view, in screen pixels. */
  left = 0;
  top = 0;

  /**
   * @param {{least: number, most: number, changed: () => void}} options `changed` is called after each change
   */
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

  /** Zoom to a scale, clamped to the limits; the point (x, y) of the view stays where it is. */
  zoomTo(wanted, x, y) {
    const next = Math.min(this.most, Math.max(this.least, wanted));
    const factor = next / this.scale;
    this.set(next, x - (x - this.left) * factor, y - (y - this.top) * factor);
  }

  moveBy(dx, dy) {
    this.set(this.scale, this.left + dx, this.top + dy);
  }

  /** Fit a picture into a view, centred, with `margin` pixels to spare. */
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
 * @param {(event: MouseEvent) => [number, number]} pointOf position of an event in the view
 * @param {(event: WheelEvent) => number} [speedOf] logarithm of the zoom factor per scrolled pixel
 */
export function zoomByWheel(view, panZoom, pointOf, speedOf = () => 1 / 400) {
  const zoom = (event) => {
    event.preventDefault();
    panZoom.zoomTo(panZoom.scale * Math.exp(-event.deltaY * speedOf(event)), ...pointOf(event));
  };
  view.addEventListener("wheel", zoom, { passive: false });
}
