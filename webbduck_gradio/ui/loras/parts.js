// @ts-check
// Pieces that cards and details of models share.
import { copyText } from "../shared/clipboard.js";
import { button, h } from "../shared/dom.js";

export const date = (seconds) => new Date(seconds * 1000).toLocaleDateString();
export const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);
/** A button that copies a text. */
export const copyButton = (text, label) =>
  button(
    label,
    (event) => {
      event.stopPropagation();
      copyText(text, event.currentTarget);
    },
    { class: "quiet", title: `Copy “${text}”` },
  );

/** The picture over its stand-in, the name's first letter, which stays where there is none. */
export function picture(lora, url, lazy) {
  const image = h("img", { alt: "", loading: lazy ? "lazy" : null, decoding: "async" });
  image.onerror = () => image.remove();
  image.src = url;
  return [
    h(
      "span",
      { class: "none", "aria-hidden": "true" },
      [...(lora.name.split("/").pop() || "?")][0].toUpperCase(),
    ),
    image,
  ];
}
