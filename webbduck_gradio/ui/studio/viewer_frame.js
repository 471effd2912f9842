// @ts-check
// The viewer's frame: the picture, what stands in its place until it comes, and the progress line.
import { h, put } from "../shared/dom.js";

/**
 * `canvas` is the frame's place, `tools` its toolbar; `loaded()` is called when a picture is shown,
 * `missing(source)` for one that does not load.
 *
 * @param {{canvas: any, tools: any, loaded: () => void, missing: (source: string) => void}} options
 */
export function makeFrame({ canvas, tools, loaded, missing }) {
  const picture = h("img", { alt: "", class: "main" });
  const bar = h("div", { class: "bar" });
  const track = h(
    "div",
    {
      class: "track",
      role: "progressbar",
      "aria-label": "Progress",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
    },
    bar,
  );
  const text = h("p", { class: "placeholder", "aria-hidden": "true" });
  const frame = h("figure", { class: "frame" }, text, picture, tools, track);
  let wanted = "";

  /** What the frame held before is not the last picture if the frame itself was gone meanwhile. */
  function enter() {
    if (frame.parentNode === canvas) return;
    picture.hidden = true;
    put(canvas, frame);
  }

  return {
    frame,
    picture,
    get isShown() {
      return frame.parentNode === canvas;
    },

    /** Swap the picture once the new one has loaded, to avoid flicker. */
    show(source, alt) {
      picture.alt = alt;
      enter();
      if (wanted === source) return;
      wanted = source;
      const next = new Image();
      next.onload = () => {
        if (wanted !== source) return;
        picture.src = source;
        picture.hidden = false;
        frame.classList.remove("waiting");
        loaded();
      };
      next.onerror = () => {
        if (wanted === source) missing(source);
      };
      next.src = source;
    },

    /**
     * Keep the space of a picture that does not exist yet, in its proportions, so that nothing moves later.
     * Until it comes, the last picture is dimmed; `placeholder` is said where there is none.
     */
    wait(placeholder) {
      wanted = "";
      enter();
      picture.alt = "";
      text.textContent = placeholder;
      frame.classList.add("waiting");
    },

    /** Replace the frame with other content. */
    leave(...content) {
      wanted = "";
      put(canvas, ...content);
    },

    /** The progress line: a fraction, or null for none; 0 means that it is not known how much is done. */
    progress(fraction) {
      track.hidden = fraction === null;
      track.classList.toggle("indeterminate", fraction === 0);
      bar.style.width = fraction ? `${(fraction * 100).toFixed(1)}%` : "";
      if (fraction) track.setAttribute("aria-valuenow", String(Math.round(fraction * 100)));
      else track.removeAttribute("aria-valuenow");
    },

    /** Reserve the proportions of a picture of `width` × `height` px. */
    shape(width, height) {
      frame.style.setProperty("--ratio", `${width} / ${height}`);
    },
  };
}
