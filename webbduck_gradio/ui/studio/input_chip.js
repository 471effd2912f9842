// @ts-check
// Above Generate: the input picture with its mask and what is done with it, and on a phone the warning about
// the size, which is in the settings sheet there.
import { subscribe } from "../shared/bus.js";
import { setHidden, setText } from "../shared/dom.js";
import { labelOf, modeText, settings, withUnit } from "../shared/settings.js";
import { inputFileUrl, inputUrl } from "../shared/urls.js";
import * as form from "./form.js";
import { removeInput } from "./input_removal.js";
import { tintMask } from "./mask_overlay.js";

/** @param {GradioView} view */
export default function start({ element }) {
  const find = (name) => element.querySelector(`.${name}`);
  const chip = find("input-chip");
  const [picture, overlay] = find("chip-picture").children;
  const words = find("chip-words");
  const slider = find("chip-strength");
  const [label, range, value] = slider.children;
  const warning = find("dock-warning");
  const { least = 0.05, most } = settings.strength.limits;
  Object.assign(range, { min: String(least), max: String(most), step: "0.05" });
  label.textContent = labelOf("strength");

  find("chip-picture").onclick = () => form.showGroup("image", true);
  find("chip-remove").onclick = removeInput;
  range.oninput = () => form.set("strength", Number(range.value));

  function unfold(yes) {
    slider.hidden = !yes;
    words.setAttribute("aria-expanded", String(yes));
    (yes ? range : words).focus();
  }
  words.onclick = () => unfold(slider.hidden);
  slider.onkeydown = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault(); // else it would cancel the job
    unfold(false);
  };

  let shown = { image: "", mask: "" };
  async function showPicture({ image, mask }) {
    if (image === shown.image && mask === shown.mask) return;
    const isOther = image !== shown.image;
    shown = { image, mask };
    if (isOther) {
      overlay.hidden = true; // the mask of another picture
      if (!image) return picture.removeAttribute("src");
      picture.src = inputUrl(image);
    }
    try {
      await picture.decode();
    } catch {
      return; // the input picture's own view says what is wrong
    }
    if (shown.image !== image || shown.mask !== mask) return;
    const size = { width: picture.naturalWidth, height: picture.naturalHeight };
    await tintMask(overlay, mask && inputFileUrl(mask), size);
  }

  subscribe("form", (state) => {
    const mode = modeText(state);
    setHidden(chip, !mode);
    if (mode) {
      const text = `${mode}, strength ${withUnit("strength", state.strength)}`;
      setText(
        words,
        text.replace(/^./, (first) => first.toUpperCase()),
      );
    } else slider.hidden = true;
    setText(value, withUnit("strength", state.strength));
    if (document.activeElement !== range && typeof state.strength === "number") range.value = state.strength;
    words.setAttribute("aria-expanded", String(!slider.hidden));
    showPicture(state);
  });
  subscribe("size-warning", (text) => {
    setText(warning, text ?? "");
    setHidden(warning, !text);
  });
}
