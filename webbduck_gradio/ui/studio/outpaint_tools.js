// @ts-check
// The input picture's outpainting: opens the editor, sets the form, and takes it back.
import { subscribe } from "../shared/bus.js";
import { button, setHidden } from "../shared/dom.js";
import { settings } from "../shared/settings.js";
import { sidesOf, sidesText } from "../shared/sides.js";
import { focusAction } from "../shared/toast.js";
import { inputFileUrl } from "../shared/urls.js";
import * as form from "./form.js";
import { editOutpaint } from "./outpaint_editor.js";
import { resultSize } from "./outpaint_sides.js";
import { offerUndo } from "./settings_menu.js";

/** The strength that suits outpainting: the start is a mirror image, which should not be seen. */
const SUGGESTED = 0.9;

/**
 * Buttons for the input picture's tools. `measured(id)`: its {width, height}, or null where it has gone.
 *
 * @param {{measured: (id: string) => Promise<{width: number, height: number} | null>}} options
 */
export function outpaintTools({ measured }) {
  /** The picture whose editor was requested and has not opened yet. */
  let awaited = null;

  async function open() {
    const { image, outpaint, mask, strength } = form.state();
    const size = image && (await measured(image));
    const isOpen = document.querySelector(".outpaint-editor, .mask-editor");
    if (!size || form.state().image !== image || isOpen) return;
    const done = await editOutpaint({
      source: inputFileUrl(image),
      width: size.width,
      height: size.height,
      sides: sidesOf(outpaint),
      limits: {
        step: webbduckFacts.side_step,
        most: settings.width.limits.most,
        mostPixels: webbduckFacts.max_pixels,
      },
      strength: strength === SUGGESTED ? "" : `Set the strength to ${SUGGESTED}, which suits it`,
      notes: mask ? "The mask will be removed." : "",
    });
    if (done && form.state().image === image) use(done, size);
  }

  /** Set the form to these sides, and its size to the result's. */
  function use({ sides, strength }, size) {
    const before = form.typedState();
    const text = sidesText(sides);
    const result = resultSize(sides, size);
    if (text) form.set("mask", "");
    form.set("outpaint", text ? JSON.stringify(sides) : "");
    form.set("width", result.width);
    form.set("height", result.height);
    if (text && strength) form.set("strength", SUGGESTED);
    offerUndo(
      text ? `Outpaint ${text}: ${result.width} × ${result.height} px.` : "Outpainting removed.",
      before,
    );
    if (!text) return;
    form.entry("prompt")?.focus();
    form.entry("prompt")?.select();
  }

  const openButton = button("Outpaint", open, {
    class: "outpaint",
    title: "Extend the picture on its sides",
  });
  const removeButton = button("Remove frame", remove, {
    class: "unoutpaint",
    title: "Use the picture in its own size again",
  });
  function remove() {
    const { width, height, outpaint } = form.state();
    const sides = sidesOf(outpaint);
    const before = form.typedState();
    form.set("outpaint", "");
    form.set("width", width - sides.left - sides.right);
    form.set("height", height - sides.top - sides.bottom);
    offerUndo("Outpainting removed.", before);
    focusAction();
  }

  function openAwaited() {
    const state = form.state();
    if (!awaited || state?.image !== awaited || state.mask || state.outpaint) return;
    awaited = null;
    open();
  }
  subscribe("form", (state) => {
    openButton.textContent = state.outpaint ? "Edit frame" : "Outpaint";
    setHidden(removeButton, !state.outpaint);
    openAwaited();
  });
  subscribe("signal", (asked) => {
    // A new picture; one that was asked for before is out of date.
    if (!["mask", "image", "outpaint"].includes(asked.open)) return;
    awaited = asked.open === "outpaint" ? asked.image : null;
    openAwaited();
  });
  return [openButton, removeButton];
}
