// @ts-check
// Elements of the cards and the dialog.
import { copyText } from "../shared/clipboard.js";
import { aboutText } from "../shared/distilled.js";
import { button, h } from "../shared/dom.js";

export const date = (seconds) => new Date(seconds * 1000).toLocaleDateString();
export const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);

/** Of a model that was distilled for few steps. */
export const distilledBadge = ({ distilled }) =>
  distilled &&
  h(
    "span",
    { class: "badge", title: aboutText(distilled) },
    `${distilled.kind}, ${distilled.steps} ${distilled.steps === 1 ? "step" : "steps"}`,
  );
export const copyButton = (text, label) =>
  button(
    label,
    (event) => {
      event.stopPropagation();
      copyText(text, event.currentTarget);
    },
    { class: "quiet", title: `Copy “${text}”` },
  );

/**
 * The preview over a placeholder, the name's first letter, which is seen if there is no preview.
 *
 * @param {string | null} url null where it is known that there is none
 */
export function picture(model, url) {
  const placeholder = h(
    "span",
    { class: "none", "aria-hidden": "true" },
    [...(model.name.split("/").pop() || "?")][0].toUpperCase(),
  );
  if (!url) return [placeholder];
  const image = h("img", { alt: "", loading: "lazy", decoding: "async" });
  image.onerror = () => image.remove();
  image.src = url;
  return [placeholder, image];
}
