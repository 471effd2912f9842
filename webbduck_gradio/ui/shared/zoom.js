// @ts-check
// A picture by itself, at any size.
import { button, h, home } from "./dom.js";

/** Open a picture over the whole window: the wheel zooms, dragging moves, Esc closes. */
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
    { class: "viewer", "aria-label": "Picture at any size" },
    view,
    h(
      "div",
      { class: "viewer-bar" },
      tool("−", "Zoom out (-)", () => to(size / 1.5)),
      scale,
      tool("+", "Zoom in (+)", () => to(size * 1.5)),
      tool("Fit", "Fit into the window (0)", () => fit()),
      tool("100 %", "One pixel of the picture on one of the screen (1)", () => to(1 / devicePixelRatio)),
      tool("Close", "Close (Esc)", () => dialog.close()),
    ),
  );
  let size = 1;
  let left = 0;
  let top = 0;
  let held = null;
  const place = () => {
    picture.style.transform = `translate(${left}px, ${top}px) scale(${size})`;
    picture.classList.toggle("pixels", size * devicePixelRatio >= 3);
    scale.textContent = `${Math.round(size * devicePixelRatio * 100)} %`;
  };
  function to(wanted, x = view.clientWidth / 2, y = view.clientHeight / 2) {
    const next = Math.min(40, Math.max(0.02, wanted));
    left = x - ((x - left) * next) / size;
    top = y - ((y - top) * next) / size;
    size = next;
    place();
  }
  function fit() {
    size = Math.min(view.clientWidth / picture.naturalWidth, view.clientHeight / picture.naturalHeight);
    left = (view.clientWidth - picture.naturalWidth * size) / 2;
    top = (view.clientHeight - picture.naturalHeight * size) / 2;
    place();
  }
  picture.onload = fit;
  view.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      to(size * Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
    },
    { passive: false },
  );
  view.addEventListener("pointerdown", (event) => {
    view.setPointerCapture(event.pointerId);
    held = [event.clientX - left, event.clientY - top];
  });
  view.addEventListener("pointermove", (event) => {
    if (held) {
      left = event.clientX - held[0];
      top = event.clientY - held[1];
      place();
    }
  });
  view.addEventListener("pointerup", () => {
    held = null;
  });
  view.addEventListener("dblclick", (event) => {
    if (Math.abs(size * devicePixelRatio - 1) < 0.01) fit();
    else to(1 / devicePixelRatio, event.clientX, event.clientY);
  });
  dialog.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[
      event.key
    ];
    if (move) {
      left += move[0];
      top += move[1];
      place();
    } else if (["+", "="].includes(event.key)) to(size * 1.5);
    else if (event.key === "-") to(size / 1.5);
    else if (event.key === "0") fit();
    else if (event.key === "1") to(1 / devicePixelRatio);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("close", () => dialog.remove());
  home().append(dialog);
  dialog.showModal();
  view.focus();
}
