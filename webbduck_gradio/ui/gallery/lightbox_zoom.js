// @ts-check
// The lightbox's picture: zoom, pan, swipe, and comparison with a second picture by a slider.
import { makeCompareSlider } from "../shared/compare_slider.js";
import { h } from "../shared/dom.js";
import { PanZoom, Pinch, zoomByWheel } from "../shared/pan_zoom.js";

const MOST_ZOOM = 16;
const SWIPE = 60;

/** `stage` is the container; a swipe sideways calls `step(by)`, one downwards `away()`. */
export function makeStage(stage, { step, away, moved }) {
  const picture = h("img", { alt: "", draggable: false, class: "main" });
  const second = h("img", { alt: "", draggable: false });
  const layer = h("div", { class: "g-layer" }, picture);
  const over = h("div", { class: "g-over", hidden: true }, h("div", { class: "g-layer" }, second));
  const slider = makeCompareSlider("Compare: share of the first picture", (percent) => {
    over.style.clipPath = `inset(0 0 0 ${percent}%)`;
  });
  const handle = slider.node;
  handle.hidden = true;
  const labels = [
    h("span", { class: "g-label first", hidden: true }),
    h("span", { class: "g-label second", hidden: true }),
  ];
  const wait = h("p", { class: "g-wait", hidden: true });
  stage.append(layer, over, handle, ...labels, wait);
  const panZoom = new PanZoom({ least: 1, most: MOST_ZOOM, changed: clamp });
  let natural = [1, 1];

  /** Scale that fits the picture into the stage; small pictures are enlarged up to four times. */
  function fitted() {
    const grow = Math.min(stage.clientWidth / natural[0], stage.clientHeight / natural[1]);
    return Math.min(grow, 4);
  }
  function draw() {
    const fit = fitted();
    const { scale, left, top } = panZoom;
    for (const each of [layer, over.firstChild]) {
      each.style.width = `${natural[0] * fit}px`;
      each.style.height = `${natural[1] * fit}px`;
      each.style.transform = `translate(calc(-50% + ${left}px), calc(-50% + ${top}px)) scale(${scale})`;
    }
    // The labels of a comparison are at the lower corners of the picture, or of what is seen of it.
    const margin = (whole, part) => `${Math.max(0, (whole - part * fit * scale) / 2)}px`;
    stage.style.setProperty("--side", margin(stage.clientWidth, natural[0]));
    stage.style.setProperty("--foot", margin(stage.clientHeight, natural[1]));
    const real = scale * fit;
    for (const each of [picture, second]) {
      each.style.imageRendering = real >= 4 && scale > 1 ? "pixelated" : "";
    }
    stage.classList.toggle("zoomed", scale > 1);
    moved?.(real);
  }
  /** An event's position relative to the middle of the stage; [0, 0] without an event. */
  function fromMiddle(event) {
    if (!event) return /** @type {[number, number]} */ ([0, 0]);
    const box = stage.getBoundingClientRect();
    return /** @type {[number, number]} */ ([
      event.clientX - box.left - box.width / 2,
      event.clientY - box.top - box.height / 2,
    ]);
  }
  const zoom = (factor, at = null) => panZoom.zoomTo(panZoom.scale * factor, ...fromMiddle(at));
  /** Clamp the offset so that the picture covers the stage, or is centred where it is smaller. */
  function clamp() {
    const { scale } = panZoom;
    const wide = Math.max(0, (natural[0] * fitted() * scale - stage.clientWidth) / 2);
    const high = Math.max(0, (natural[1] * fitted() * scale - stage.clientHeight) / 2);
    panZoom.left = scale === 1 ? 0 : Math.max(-wide, Math.min(wide, panZoom.left));
    panZoom.top = scale === 1 ? 0 : Math.max(-high, Math.min(high, panZoom.top));
    draw();
  }
  const fit = () => panZoom.set(1, 0, 0);
  const real = (at = null) => {
    if (panZoom.scale > 1) fit();
    else zoom(Math.max(1 / fitted(), 2), at);
  };

  zoomByWheel(stage, panZoom, fromMiddle, (event) => (event.ctrlKey ? 0.01 : 0.0016));
  stage.addEventListener("dblclick", (event) => {
    if (!event.target.closest("button, .compare-slider")) real(event);
  });
  const pinch = new Pinch(panZoom, fromMiddle);
  let start = null;
  let sliding = false;
  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button, a")) return;
    const isPinch = pinch.down(event);
    try {
      stage.setPointerCapture(event.pointerId);
    } catch {
      /* the pointer is already gone */
    }
    const onSlider = event.target.closest(".compare-slider") || (panZoom.scale === 1 && event.button === 0);
    sliding = !handle.hidden && onSlider;
    start = { x: event.clientX, y: event.clientY, left: panZoom.left, top: panZoom.top };
    if (isPinch) sliding = false;
    if (sliding) slider.moveTo(event, stage);
  });
  stage.addEventListener("pointermove", (event) => {
    if (pinch.move(event)) return;
    if (sliding) slider.moveTo(event, stage);
    else if (start && panZoom.scale > 1) {
      const [left, top] = [start.left + event.clientX - start.x, start.top + event.clientY - start.y];
      panZoom.set(panZoom.scale, left, top);
    }
  });
  function end(event) {
    const wasPinch = pinch.isPinching;
    if (!pinch.up(event)) return;
    if (
      start &&
      !wasPinch &&
      !sliding &&
      panZoom.scale === 1 &&
      event.pointerType !== "mouse" &&
      event.type === "pointerup"
    ) {
      const dx = event.clientX - start.x;
      const dy = event.clientY - start.y;
      if (Math.abs(dx) > SWIPE && Math.abs(dx) > 2 * Math.abs(dy)) step(dx < 0 ? 1 : -1);
      else if (dy > 2 * SWIPE && dy > 2 * Math.abs(dx)) away();
    }
    if (!pinch.isPressed) {
      start = null;
      sliding = false;
    }
  }
  stage.addEventListener("pointerup", end);
  stage.addEventListener("pointercancel", end);
  new ResizeObserver(clamp).observe(stage);

  function load(target, source, small, alt, size) {
    target.alt = alt;
    if (target.dataset.source === source) return;
    target.dataset.source = source;
    if (small) target.src = small; // the thumbnail is shown until the picture has loaded
    const full = new Image();
    const current = () => target.dataset.source === source;
    full.onload = () => {
      if (!current()) return;
      target.src = source;
      wait.hidden = true;
      if (target === picture) {
        natural = [full.naturalWidth, full.naturalHeight];
        clamp();
      }
    };
    full.onerror = () => {
      if (current()) {
        target.removeAttribute("src");
        wait.hidden = false;
        wait.textContent = "This picture cannot be shown; it may be damaged or deleted.";
      }
    };
    wait.hidden = true;
    full.src = source;
    if (size && target === picture) {
      natural = size;
      clamp();
    }
  }
  return {
    zoom,
    fit,
    real,
    show(source, small, alt, size) {
      layer.style.visibility = "";
      load(picture, source, small, alt, size);
      fit();
    },
    /** Show a message instead of a picture that cannot be shown. */
    refuse(message) {
      panZoom.scale = 1;
      natural = [1, 1];
      picture.dataset.source = "";
      picture.alt = "";
      picture.removeAttribute("src");
      layer.style.visibility = "hidden";
      clamp();
      wait.hidden = false;
      wait.textContent = message;
    },
    /** Show a second picture over the first, right of the slider; null ends the comparison. */
    compare(source, alt = "", texts = []) {
      over.hidden = handle.hidden = source === null;
      labels.forEach((label, each) => {
        label.hidden = source === null;
        label.textContent = texts[each] ?? "";
      });
      if (source === null) return;
      slider.set(50);
      load(second, source, null, alt, null);
      draw();
      handle.focus();
    },
  };
}
