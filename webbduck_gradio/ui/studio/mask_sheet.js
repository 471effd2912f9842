// @ts-check
// The paint of the mask editor: a canvas whose opacity is the mask, and the actions that led to it.
import { h } from "../shared/dom.js";
import { maskOf, stripes } from "./mask_pixels.js";
import { addPiece, around, isSoft } from "./soft_brush.js";

/**
 * @typedef {import("./soft_brush.js").Rect} Rect
 * @typedef {object} Brush
 * @property {number} size in pixels
 * @property {number} hardness in percent, as in soft_brush.js
 * @property {number} opacity in percent
 * @property {boolean} erase
 * @typedef {Brush & {kind: "stroke", points: [number, number][], bounds?: Rect, kept?: Uint8Array}} Stroke
 * `bounds`, `kept`: of a soft stroke, where it has paint, and its cover of that rectangle
 */

export class MaskSheet {
  /**
   * @param {number} width
   * @param {number} height
   * @param {() => void} changed called after each change of the actions
   */
  constructor(width, height, changed) {
    this.width = width;
    this.height = height;
    this.canvas = h("canvas", { class: "sheet", width, height });
    this.context = this.canvas.getContext("2d");
    this.changed = changed;
    this.ink = stripes(this.context, Math.max(width, height));
    /** Every action since the editor opened; undo replays all but the last. @type {any[]} */
    this.done = [];
    this.undone = [];
    /** The mask that was there before, and whether it is partly painted. */
    this.base = null;
    this.isBaseGrey = false;
    /** What is being painted. @type {Stroke | null} */
    this.stroke = null;
    // Of the soft stroke that is being painted: its cover of all pixels, and the sheet without it.
    /** @type {Uint8Array | null} */
    this.cover = null;
    this.before = null;
  }

  /** Whether parts may be painted less than fully; smoothed edges of hard strokes do not count. */
  get isGrey() {
    const cleared = this.done.findLastIndex((each) => each.kind === "clear");
    const strokes = this.done.slice(cleared + 1).filter((each) => each.kind === "stroke");
    return strokes.some(isSoft) || (cleared < 0 && this.isBaseGrey);
  }

  /** Begin with this mask; null = nothing. @param {{canvas: any, isGrey: boolean} | null} mask */
  load(mask) {
    this.base = mask?.canvas ?? null;
    this.isBaseGrey = Boolean(mask?.isGrey);
    this.redraw();
  }

  /** The mask as a PNG blob; null if nothing is painted. */
  blob() {
    return maskOf(this.context, this.width, this.height, this.isGrey);
  }

  // -- strokes

  /** @param {Brush} brush */
  begin(brush, point) {
    this.stroke = { kind: "stroke", ...brush, points: [] };
    if (isSoft(brush)) {
      this.cover ??= new Uint8Array(this.width * this.height);
      this.before ??= h("canvas", { width: this.width, height: this.height });
      const copy = this.before.getContext("2d");
      copy.globalCompositeOperation = "copy";
      copy.drawImage(this.canvas, 0, 0);
    }
    this.extend(point);
  }
  extend(point) {
    const { stroke } = this;
    const last = stroke.points.at(-1);
    if (last && Math.hypot(point[0] - last[0], point[1] - last[1]) < 0.25) return;
    stroke.points.push(point);
    if (!isSoft(stroke)) {
      this.#paintHard(last, point, stroke);
      return;
    }
    const rect = addPiece(this.cover, this, last ?? point, point, stroke);
    stroke.bounds = around(stroke.bounds, rect);
    if (!rect.width || !rect.height) return;
    const { x, y, width, height } = rect;
    this.context.clearRect(x, y, width, height);
    this.context.globalCompositeOperation = "source-over";
    this.context.drawImage(this.before, x, y, width, height, x, y, width, height);
    this.#paintSoft(this.#cut(rect), rect, stroke);
  }
  end() {
    const stroke = this.stroke;
    if (!stroke) return;
    this.stroke = null;
    this.#keepCover(stroke);
    this.#note(stroke);
  }
  /** Take the stroke that is being painted back. */
  discard() {
    if (!this.stroke) return;
    if (this.stroke.bounds) this.#wipe(this.stroke.bounds);
    this.stroke = null;
    this.redraw();
  }

  // -- actions

  /** Do an action and keep it: a stroke from point to point, {kind: "clear"} or {kind: "invert"}. */
  commit(action) {
    this.#apply(action);
    this.#note(action);
  }
  undo() {
    if (!this.done.length) return;
    this.undone.push(this.done.pop());
    this.redraw();
  }
  redo() {
    if (!this.undone.length) return;
    const action = this.undone.pop();
    this.done.push(action);
    this.#apply(action);
    this.changed();
  }
  redraw() {
    const { context, width, height } = this;
    context.globalCompositeOperation = "source-over";
    context.clearRect(0, 0, width, height);
    if (this.base) {
      context.drawImage(this.base, 0, 0);
      this.#colour({ x: 0, y: 0, width, height });
    }
    this.done.forEach((each) => this.#apply(each));
    this.changed();
  }

  #note(action) {
    this.done.push(action);
    this.undone = [];
    this.changed();
  }
  #apply(action) {
    const { context, width, height } = this;
    if (action.kind === "clear") context.clearRect(0, 0, width, height);
    if (action.kind === "invert") {
      context.globalCompositeOperation = "xor";
      context.fillStyle = this.ink;
      context.fillRect(0, 0, width, height);
    }
    if (action.kind !== "stroke") return;
    if (!isSoft(action)) {
      action.points.forEach((point, index) => this.#paintHard(action.points[index - 1], point, action));
      return;
    }
    if (!action.kept) {
      this.cover ??= new Uint8Array(width * height);
      action.points.forEach((point, index) => {
        const rect = addPiece(this.cover, this, action.points[index - 1] ?? point, point, action);
        action.bounds = around(action.bounds, rect);
      });
      this.#keepCover(action);
    }
    this.#paintSoft(action.kept, action.bounds, action);
  }
  /** Keep a soft stroke's cover of its bounds with it, since to compute it takes longer than to paint it. */
  #keepCover(stroke) {
    if (!isSoft(stroke)) return;
    stroke.kept = this.#cut(stroke.bounds);
    this.#wipe(stroke.bounds);
  }

  // -- pixels

  #cut({ x, y, width, height }) {
    const part = new Uint8Array(width * height);
    for (let row = 0; row < height; row += 1) {
      const start = (y + row) * this.width + x;
      part.set(this.cover.subarray(start, start + width), row * width);
    }
    return part;
  }
  #wipe({ x, y, width, height }) {
    for (let row = y; row < y + height; row += 1) {
      this.cover.fill(0, row * this.width + x, row * this.width + x + width);
    }
  }
  #paintHard(from, to, { size, erase }) {
    const { context } = this;
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    context.fillStyle = context.strokeStyle = this.ink;
    context.beginPath();
    if (!from) {
      context.arc(to[0], to[1], size / 2, 0, 2 * Math.PI);
      context.fill();
      return;
    }
    context.lineWidth = size;
    context.lineCap = "round";
    context.moveTo(from[0], from[1]);
    context.lineTo(to[0], to[1]);
    context.stroke();
  }
  /** @param {Uint8Array} cover of the rectangle @param {Rect} rect @param {Brush} brush */
  #paintSoft(cover, rect, { opacity, erase }) {
    const { x, y, width, height } = rect;
    if (!width || !height) return;
    const patch = h("canvas", { width, height });
    const pixels = new ImageData(width, height);
    const words = new Uint32Array(pixels.data.buffer);
    for (let each = 0; each < cover.length; each += 1) {
      words[each] = (Math.round((cover[each] * opacity) / 100) << 24) | 0xffffff;
    }
    patch.getContext("2d").putImageData(pixels, 0, 0);
    this.context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    this.context.drawImage(patch, x, y);
    if (!erase) this.#colour(rect);
  }
  /** Give all paint in a rectangle the stripes; its opacity stays. @param {Rect} rect */
  #colour({ x, y, width, height }) {
    this.context.globalCompositeOperation = "source-atop";
    this.context.fillStyle = this.ink;
    this.context.fillRect(x, y, width, height);
  }
}
