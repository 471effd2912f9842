// @ts-check
// Below the masked content: that a start without the input picture needs a high strength.
import { subscribe } from "../shared/bus.js";
import { h, setHidden, setText } from "../shared/dom.js";
import { applies, valueText } from "../shared/settings.js";
import * as form from "./form.js";

const ENOUGH = 0.8;

/** The sentence for these values of the form; "" where there is none. @param {Record<string, any>} values */
export function contentHint({ masked_content, strength }) {
  if (!masked_content?.startsWith("latent ") || !(strength < ENOUGH)) return "";
  const content = valueText("masked_content", masked_content);
  return `${content} shows through at denoising strength ${strength}; take at least ${ENOUGH}.`;
}

export function showContentHint() {
  const hint = h("p", { class: "content-hint", role: "status", hidden: true });
  subscribe("form", (values) => {
    const control = form.control("masked_content");
    if (control && hint.previousElementSibling !== control) control.after(hint);
    const text = applies("masked_content", form.conditions()) ? contentHint(values) : "";
    setText(hint, text);
    setHidden(hint, !text);
  });
}
