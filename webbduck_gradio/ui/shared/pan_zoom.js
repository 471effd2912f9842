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

/** Zooms and pans with two fingers. The view passes its pointer events to `down`, `move` and `up`. */
export class Pinch {
  /** Position in the view of each pointer that is down, by its id. @type {Map<number, [number, number]>} */
  #points = new Map();

  /** Two pointers have been down at once. True until all are up, so that the last one does nothing. */
  isPinching = false;

  /**
   * @param {PanZoom} panZoom
   * @param {(event: any) => [number, number]} pointOf position of an event in the view
   */
  constructor(panZoom, pointOf) {
    this.panZoom = panZoom;
    this.pointOf = pointOf;
  }

  get isPressed() {
    return this.#points.size > 0;
  }

  /** Returns whether the pointer is part of a pinch. */
  down(event) {
    this.#points.set(event.pointerId, this.pointOf(event));
    this.isPinching ||= this.#points.size > 1;
    return this.isPinching;
  }

  /** Returns whether the pointer is part of a pinch, which then follows it. */
  move(event) {
    const before = this.#points.get(event.pointerId);
    if (!before) return false;
    const point = this.pointOf(event);
    this.#points.set(event.pointerId, point);
    if (this.isPinching && this.#points.size === 2) {
      const other = [...this.#points].find(([id]) => id !== event.pointerId)[1];
      const distance = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
      this.panZoom.moveBy((point[0] - before[0]) / 2, (point[1] - before[1]) / 2);
      this.panZoom.zoomTo(
        (this.panZoom.scale * distance(point)) / Math.max(1, distance(before)),
        (point[0] + other[0]) / 2,
        (point[1] + other[1]) / 2,
      );
    }
    return this.isPinching;
  }

  /** Returns whether the pointer was down. */
  up(event) {
    const wasDown = this.#points.delete(event.pointerId);
    if (!this.isPressed) this.isPinching = false;
    return wasDown;
  }
}
