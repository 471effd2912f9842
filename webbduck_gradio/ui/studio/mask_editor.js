// @ts-check
// The mask editor: a canvas of the picture's resolution, shown at any zoom.
import { openLayer } from "../shared/address.js";
import { h, home } from "../shared/dom.js";
import { PanZoom, Pinch, zoomByWheel } from "../shared/pan_zoom.js";
import { brushSliders } from "./mask_brush.js";
import { readMask } from "./mask_pixels.js";
import { MaskSheet } from "./mask_sheet.js";
import { isSoft as isSoftBrush } from "./soft_brush.js";

/**
 * Edit the mask of a picture. `isSoft`: whether soft inpainting is on. Resolves to {mask, isSoft}, or to
 * undefined if the user cancels. `mask` is a PNG blob, white where painted; null if nothing is. `isSoft` is
 * undefined where soft inpainting was not offered, since neither the mask nor the brush had any grey.
 */
export const editMask = ({ source, width, height, mask, hint = "Paint what should be inpainted.", isSoft }) =>
  new Promise((resolve) => {
    const picture = h("img", { src: source, alt: "", draggable: false, class: "under" });
    const paper = h("div", { class: "paper", style: `width:${width}px;height:${height}px` }, picture);
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

    let tool = "brush";
    let [size, hardness, opacity] = [Math.max(4, Math.round(Math.max(width, height) / 14)), 100, 100];
    let cursor = [width / 2, height / 2];
    let touched = false;
    let warned = false;
    /** A place in the browser's history of its own, so that the first Back warns and the second closes.
     * @type {ReturnType<typeof openLayer> | null} */
    let guard = null;

    const sheet = new MaskSheet(width, height, () => showState());
    const brush = () => ({ size, hardness, opacity, erase: tool === "erase" });
    function commit(action) {
      touch();
      sheet.commit(action);
    }
    const touch = () => {
      touched = true;
      warned = false;
    };
    const undo = () => sheet.undo();
    const redo = () => sheet.redo();

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

    let dragging = null;
    let space = false;
    const pinch = new Pinch(panZoom, at);
    view.addEventListener("pointerdown", (event) => {
      const point = at(event);
      view.setPointerCapture(event.pointerId);
      if (pinch.down(event)) {
        sheet.discard(); // the stroke that the first finger began
        dragging = null;
        return;
      }
      if (tool === "move" || event.button === 1 || space) {
        dragging = { point };
        return;
      }
      if (event.button !== 0) return;
      cursor = onPaper(point);
      sheet.begin(brush(), cursor);
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
      for (const each of sheet.stroke ? (event.getCoalescedEvents?.() ?? [event]) : []) {
        sheet.extend(onPaper(at(each)));
      }
      cursor = onPaper(point);
      place();
    });
    function lift(event) {
      pinch.up(event);
      if (sheet.stroke) {
        touch();
        sheet.end();
      }
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
    const sliders = brushSliders({ size, hardness, opacity }, Math.max(width, height), (values) => {
      ({ size, hardness, opacity } = values);
      place();
    });
    const undoButton = button("Undo", "Undo (Ctrl+Z)", undo);
    const redoButton = button("Redo", "Redo (Ctrl+Y)", redo);
    const scale = button("", "Fit into the window (0)", fit, "zoom");
    const bar = h(
      "div",
      { class: "mask-bar" },
      h("div", { class: "group", role: "group", "aria-label": "Tool" }, Object.values(tools)),
      sliders.element,
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
    const soft = h("input", { type: "checkbox", checked: Boolean(isSoft) });
    // Shown while the mask has grey parts, which mean little without it, or the brush makes some: to show it
    // only after a stroke would move the picture under the finger.
    const softly = h(
      "label",
      { class: "mask-soft", hidden: true },
      soft,
      h("b", {}, "Soft inpainting"),
      h("span", {}, "changes grey parts less; without it they are only blended"),
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
        softly,
        h(
          "span",
          { class: "keys" },
          "Wheel: zoom · [ ]: size · { }: hardness · < >: opacity · Space: move · Ctrl+Z: undo",
        ),
      ),
    );

    function showState() {
      undoButton.disabled = !sheet.done.length;
      redoButton.disabled = !sheet.undone.length;
      softly.hidden = !sheet.isGrey && !isSoftBrush(brush());
      scale.textContent = `${Math.round(panZoom.scale * 100)} %`;
      if (!warned) state.textContent = `${width} × ${height} px. ${hint}`;
      guardPaint();
    }
    const isUnsaved = () => touched && sheet.done.length > 0 && !warned;
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
          commit({ kind: "stroke", ...brush(), points: [cursor, next] });
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
        ...sliders.keys,
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
        commit({ kind: "stroke", ...brush(), points: [cursor] });
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
      close({ mask: await sheet.blob(), isSoft: softly.hidden ? undefined : soft.checked });
    }
    async function begin() {
      const before = mask && (await readMask(mask, width, height));
      if (mask && !before) hint = "The mask could not be loaded, so it begins empty.";
      sheet.load(before);
      fit();
    }
    paper.append(sheet.canvas);
    home().append(dialog);
    dialog.showModal();
    take("brush");
    observer.observe(view);
    view.focus();
    begin();
  });
