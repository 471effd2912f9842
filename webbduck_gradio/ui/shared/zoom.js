// @ts-check
// A full-window view of one picture with zoom.
import { button, h, home } from "./dom.js";
import { PanZoom, zoomByWheel } from "./pan_zoom.js";

/** Open a picture over the whole window: wheel to zoom, drag to pan, Esc to close. */
export function openZoom(source, alt) {
  const picture = h("img", { src: source, alt, draggable: false });
  const scale = h("output", {});
  const view = h(
    "div",
    {
      class: "viewer-view",
      tabindex: "0",
      role: "group",
      "aria-label": `${alt}. Plus and minus zoom, arrow keys move, 0 fits, 1 is full size.`,
    },
    picture,
  );
  const tool = (text, title, action) => button(text, action, { title, "aria-label": title });
  const dialog = h(
    "dialog",
    { class: "viewer", "aria-label": "Zoomed picture" },
    view,
    h(
      "div",
      { class: "viewer-bar" },
      tool("−", "Zoom out (-)", () => zoomBy(1 / 1.5)),
      scale,
      tool("+", "Zoom in (+)", () => zoomBy(1.5)),
      tool("Fit", "Fit into the window (0)", () => fit()),
      tool("100 %", "Actual size (1)", () => zoomTo(1 / devicePixelRatio)),
      tool("Close", "Close (Esc)", () => dialog.close()),
    ),
  );
  let held = null;
  const panZoom = new PanZoom({ least: 0.02, most: 40, changed: place });
  function place() {
    const real = panZoom.scale * devicePixelRatio;
    picture.style.transform = `translate(${panZoom.left}px, ${panZoom.top}px) scale(${panZoom.scale})`;
    picture.classList.toggle("pixels", real >= 3);
    scale.textContent = `${Math.round(real * 100)} %`;
  }
  const zoomTo = (wanted, x = view.clientWidth / 2, y = view.clientHeight / 2) =>
    panZoom.zoomTo(wanted, x, y);
  const zoomBy = (factor) => zoomTo(panZoom.scale * factor);
  const fit = () =>
    panZoom.fit(picture.naturalWidth, picture.naturalHeight, view.clientWidth, view.clientHeight);
  picture.onload = fit;
  zoomByWheel(view, panZoom, (event) => [event.clientX, event.clientY]);
  view.addEventListener("pointerdown", (event) => {
    view.setPointerCapture(event.pointerId);
    held = [event.clientX, event.clientY];
  });
  view.addEventListener("pointermove", (event) => {
    if (!held) return;
    panZoom.moveBy(event.clientX - held[0], event.clientY - held[1]);
    held = [event.clientX, event.clientY];
  });
  view.addEventListener("pointerup", () => {
    held = null;
  });
  view.addEventListener("dblclick", (event) => {
    if (Math.abs(panZoom.scale * devicePixelRatio - 1) < 0.01) fit();
    else zoomTo(1 / devicePixelRatio, event.clientX, event.clientY);
  });
  dialog.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[
      event.key
    ];
    if (move) panZoom.moveBy(move[0], move[1]);
    else if (["+", "="].includes(event.key)) zoomBy(1.5);
    else if (event.key === "-") zoomBy(1 / 1.5);
    else if (event.key === "0") fit();
    else if (event.key === "1") zoomTo(1 / devicePixelRatio);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("close", () => dialog.remove());
  home().append(dialog);
  dialog.showModal();
  view.focus();
}
