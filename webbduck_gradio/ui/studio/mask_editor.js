// @ts-check
// The mask editor: a canvas of the picture's resolution, shown at any zoom.
import { openLayer } from "../shared/address.js";
import { h, home } from "../shared/dom.js";
import { PanZoom, Pinch, zoomByWheel } from "../shared/pan_zoom.js";
import { maskOf, readMask, stripes } from "./mask_pixels.js";

/**
 * Edit the mask of a picture. Resolves to {mask: PNG blob, white where painted; null if nothing is}, or to
 * undefined if the user cancels.
 */
export const editMask = ({ source, width, height, mask, hint = "Paint what should be inpainted." }) =>
  new Promise((resolve) => {
    const sheet = h("canvas", { class: "sheet" });
    sheet.width = width;
    sheet.height = height;
    const context = sheet.getContext("2d");
    const picture = h("img", { src: source, alt: "", draggable: false, class: "under" });
    const paper = h("div", { class: "paper", style: `width:${width}px;height:${height}px` }, picture, sheet);
    const ring = h("div", { class: "ring", "aria-hidden": "true" });
    const view = h(
      "div",
      {
        class: "mask-view",
        tabindex: "0",
        role: "application",
        "aria-label":
          "Picture to paint on. Arrow keys move the brush, Space paints, Shift with arrows paints a line.",
      },
      paper,
      ring,
    );
    const state = h("span", { class: "mask-state", role: "status" });

    // Every action since the editor opened; undo replays all but the last.
    const done = [];
    let undone = [];
    let base = null;
    let tool = "brush";
    let size = Math.max(4, Math.round(Math.max(width, height) / 14));
    let cursor = [width / 2, height / 2];
    let touched = false;
    let warned = false;
    /** A place in the browser's history of its own, so that the first Back warns and the second closes.
     * @type {ReturnType<typeof openLayer> | null} */
    let guard = null;

    const ink = stripes(context, Math.max(width, height));
    const dot = ([x, y], each) => {
      context.beginPath();
      context.arc(x, y, each.size / 2, 0, 2 * Math.PI);
      context.fill();
    };
    function segment(from, to, each) {
      context.globalCompositeOperation = each.erase ? "destination-out" : "source-over";
      context.fillStyle = context.strokeStyle = ink;
      if (!from) return dot(to, each);
      context.lineWidth = each.size;
      context.lineCap = "round";
      context.beginPath();
      context.moveTo(...from);
      context.lineTo(...to);
      context.stroke();
    }
    function apply(each) {
      if (each.kind === "stroke") {
        each.points.forEach((point, index) => segment(each.points[index - 1], point, each));
      }
      if (each.kind === "clear") context.clearRect(0, 0, width, height);
      if (each.kind === "invert") {
        context.globalCompositeOperation = "xor";
        context.fillStyle = ink;
        context.fillRect(0, 0, width, height);
      }
    }
    function redraw() {
      context.globalCompositeOperation = "source-over";
      context.clearRect(0, 0, width, height);
      if (base) {
        context.drawImage(base, 0, 0);
        context.globalCompositeOperation = "source-in";
        context.fillStyle = ink;
        context.fillRect(0, 0, width, height);
      }
      done.forEach(apply);
      showState();
    }
    function commit(each, drawn = false) {
      done.push(each);
      undone = [];
      touched = true;
      warned = false;
      if (!drawn) apply(each);
      showState();
    }
    const undo = () => {
      if (done.length) {
        undone.push(done.pop());
        redraw();
      }
    };
    const redo = () => {
      if (undone.length) {
        const each = undone.pop();
        done.push(each);
        apply(each);
        showState();
      }
    };

    // -- the view
    function place() {
      const { scale: zoom, left, top } = panZoom;
      paper.style.transform = `translate(${left}px, ${top}px) scale(${zoom})`;
      paper.classList.toggle("pixels", zoom >= 3);
      const [x, y] = [left + cursor[0] * zoom, top + cursor[1] * zoom];
      const across = Math.max(3, size * zoom);
      const corner = `${x - across / 2}px, ${y - across / 2}px`;
      ring.style.cssText = `width:${across}px;height:${across}px;transform:translate(${corner})`;
      ring.hidden = tool === "move";
      showState();
    }
    const panZoom = new PanZoom({ least: 0.02, most: 32, changed: place });
    const zoomBy = (factor) =>
      panZoom.zoomTo(panZoom.scale * factor, view.clientWidth / 2, view.clientHeight / 2);
    const fit = () => panZoom.fit(width, height, view.clientWidth, view.clientHeight, 32);
    /** @returns {[number, number]} */
    const at = (event) => {
      const box = view.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    /** @returns {[number, number]} */
    const onPaper = ([x, y]) => [(x - panZoom.left) / panZoom.scale, (y - panZoom.top) / panZoom.scale];

    let stroke = null;
    let dragging = null;
    let space = false;
    const pinch = new Pinch(panZoom, at);
    view.addEventListener("pointerdown", (event) => {
      const point = at(event);
      view.setPointerCapture(event.pointerId);
      if (pinch.down(event)) {
        // Discard the stroke that the first finger began.
        if (stroke) {
          stroke = null;
          redraw();
        }
        dragging = null;
        return;
      }
      if (tool === "move" || event.button === 1 || space) {
        dragging = { point };
        return;
      }
      if (event.button !== 0) return;
      cursor = onPaper(point);
      stroke = { kind: "stroke", erase: tool === "erase", size, points: [cursor] };
      segment(null, cursor, stroke);
      place();
    });
    view.addEventListener("pointermove", (event) => {
      const point = at(event);
      if (pinch.move(event)) return;
      if (dragging) {
        panZoom.moveBy(point[0] - dragging.point[0], point[1] - dragging.point[1]);
        dragging.point = point;
        return;
      }
      for (const each of stroke ? (event.getCoalescedEvents?.() ?? [event]) : []) {
        const next = onPaper(at(each));
        const last = stroke.points.at(-1);
        if (Math.hypot(next[0] - last[0], next[1] - last[1]) < 0.25) continue;
        segment(last, next, stroke);
        stroke.points.push(next);
      }
      cursor = onPaper(point);
      place();
    });
    function lift(event) {
      pinch.up(event);
      if (stroke) commit(stroke, true);
      stroke = null;
      if (!pinch.isPressed) dragging = null;
    }
    view.addEventListener("pointerup", lift);
    view.addEventListener("pointercancel", lift);
    zoomByWheel(view, panZoom, at);

    // -- the bar
    const button = (text, title, action, name) =>
      h("button", { type: "button", title, class: name ?? "", onclick: action }, text);
    const tools = Object.fromEntries(
      [
        ["brush", "Brush", "Paint (B)"],
        ["erase", "Erase", "Erase (E)"],
        ["move", "Move", "Move the picture (H, or hold Space)"],
      ].map(([name, text, title]) => [name, button(text, title, () => take(name))]),
    );
    function take(name) {
      tool = name;
      for (const [each, node] of Object.entries(tools)) {
        node.setAttribute("aria-pressed", String(each === name));
      }
      view.dataset.tool = name;
      place();
    }
    const most = Math.max(16, Math.round(Math.max(width, height) / 2));
    // Logarithmic, so that small brush sizes can be set as precisely as large ones.
    const slider = h("input", {
      type: "range",
      class: "range",
      min: "0",
      max: "100",
      step: "1",
      "aria-label": "Brush size",
      oninput: (event) => resize(Math.round(most ** (event.target.value / 100))),
    });
    const exact = h("output", { class: "brush-size" });
    function resize(wanted) {
      size = Math.min(most, Math.max(1, Math.round(wanted)));
      slider.value = String(Math.round((100 * Math.log(size)) / Math.log(most)));
      exact.textContent = `${size} px`;
      place();
    }
    const undoButton = button("Undo", "Undo (Ctrl+Z)", undo);
    const redoButton = button("Redo", "Redo (Ctrl+Y)", redo);
    const scale = button("", "Fit into the window (0)", fit, "zoom");
    const bar = h(
      "div",
      { class: "mask-bar" },
      h("div", { class: "group", role: "group", "aria-label": "Tool" }, Object.values(tools)),
      h("label", { class: "group sizes" }, h("span", { class: "label" }, "Size"), slider, exact),
      h(
        "div",
        { class: "group edits" },
        button("Invert", "Invert the mask (I)", () => commit({ kind: "invert" })),
        button("Clear", "Clear the mask (Delete)", () => commit({ kind: "clear" })),
        undoButton,
        redoButton,
      ),
      h(
        "div",
        { class: "group scale", role: "group", "aria-label": "Zoom" },
        button("−", "Zoom out (-)", () => zoomBy(1 / 1.5)),
        scale,
        button("+", "Zoom in (+)", () => zoomBy(1.5)),
      ),
      h(
        "div",
        { class: "group last" },
        button("Cancel", "Close without saving (Esc)", cancel),
        button("Use mask", "Use this mask (Ctrl+Enter)", finish, "primary"),
      ),
    );
    const dialog = h(
      "dialog",
      { class: "mask-editor", "aria-label": "Paint the mask" },
      bar,
      view,
      h(
        "div",
        { class: "mask-foot" },
        state,
        h("span", { class: "keys" }, "Wheel: zoom · [ ]: brush size · Space: move · Ctrl+Z: undo"),
      ),
    );

    function showState() {
      undoButton.disabled = !done.length;
      redoButton.disabled = !undone.length;
      scale.textContent = `${Math.round(panZoom.scale * 100)} %`;
      if (!warned) state.textContent = `${width} × ${height} px. ${hint}`;
      guardPaint();
    }
    const isUnsaved = () => touched && done.length > 0 && !warned;
    function guardPaint() {
      if (isUnsaved()) guard ??= openLayer(cancel);
      else {
        guard?.closed();
        guard = null;
      }
    }
    dialog.addEventListener("keydown", (event) => {
      const key = event.key;
      const control = event.ctrlKey || event.metaKey;
      const step = (by) => {
        const next = [
          Math.min(width, Math.max(0, cursor[0] + by[0])),
          Math.min(height, Math.max(0, cursor[1] + by[1])),
        ];
        if (event.shiftKey && tool !== "move") {
          commit({ kind: "stroke", erase: tool === "erase", size, points: [cursor, next] });
        }
        cursor = next;
        place();
      };
      const by = Math.max(1, size / 4);
      const inView = document.activeElement === view;
      const keys = {
        b: () => take("brush"),
        e: () => take("erase"),
        h: () => take("move"),
        i: () => commit({ kind: "invert" }),
        Delete: () => commit({ kind: "clear" }),
        "[": () => resize(Math.min(size - 1, size / 1.15)),
        "]": () => resize(Math.max(size + 1, size * 1.15)),
        "+": () => zoomBy(1.5),
        "=": () => zoomBy(1.5),
        "-": () => zoomBy(1 / 1.5),
        0: fit,
        1: () => zoomBy(1 / panZoom.scale),
        ...(inView
          ? {
              ArrowLeft: () => step([-by, 0]),
              ArrowRight: () => step([by, 0]),
              ArrowUp: () => step([0, -by]),
              ArrowDown: () => step([0, by]),
            }
          : {}),
      };
      event.stopPropagation();
      if (control && key.toLowerCase() === "z") {
        event.preventDefault();
        if (event.shiftKey) redo();
        else undo();
      } else if (control && key.toLowerCase() === "y") {
        event.preventDefault();
        redo();
      } else if (control && key === "Enter") {
        event.preventDefault();
        finish();
      } else if (key === " " && inView) {
        event.preventDefault();
        if (!event.repeat) space = true;
      } else if (!control && keys[key]) {
        event.preventDefault();
        keys[key]();
      }
    });
    dialog.addEventListener("keyup", (event) => {
      if (event.key !== " " || !space) return;
      space = false;
      // Space alone paints a dot; Space with a drag has moved the picture.
      if (!dragging && tool !== "move") {
        commit({ kind: "stroke", erase: tool === "erase", size, points: [cursor] });
      }
    });
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      cancel();
    });
    const observer = new ResizeObserver(() => fit());

    function close(result) {
      observer.disconnect();
      guard?.closed();
      dialog.close();
      dialog.remove();
      resolve(result);
    }
    function cancel() {
      if (isUnsaved()) {
        warned = true;
        guardPaint();
        state.textContent = "You have unsaved changes. Cancel again to discard them, or press Use mask.";
        return;
      }
      close(undefined);
    }
    async function finish() {
      close({ mask: await maskOf(context, width, height) });
    }
    async function begin() {
      base = mask ? await readMask(mask, width, height) : null;
      redraw();
      fit();
    }
    home().append(dialog);
    dialog.showModal();
    take("brush");
    resize(size);
    observer.observe(view);
    view.focus();
    begin();
  });
