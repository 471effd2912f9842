// @ts-check
// The viewer's content while there is no picture.
import { last } from "../shared/bus.js";
import { h, touch } from "../shared/dom.js";
import * as form from "./form.js";
import { fill } from "./settings_menu.js";

/** @param {{props: any, isStarter: boolean}} options */
export function emptyState({ props, isStarter }) {
  const none = last.get("catalog") && !last.get("catalog").checkpoints.some((each) => each.usable);
  const examples = isStarter ? props.starter_examples : props.examples;
  return none
    ? h(
        "div",
        { class: "empty" },
        h("h2", {}, "No checkpoints yet"),
        h("p", {}, "Put a .safetensors file into checkpoint/sdxl; it appears here automatically."),
      )
    : h(
        "div",
        { class: "empty" },
        h("h2", {}, "What should the picture show?"),
        h(
          "ol",
          {},
          h(
            "li",
            {},
            "Describe it in words",
            isStarter ? ": the bundled starter model draws cartoon scenes with ducks." : ".",
          ),
          h(
            "li",
            {},
            touch.matches ? "Press Generate. " : "Press Generate, or Ctrl+Enter. ",
            "Everything runs on this computer, and nothing is sent anywhere.",
          ),
          h("li", {}, "Every picture is saved in the Gallery with all its settings."),
        ),
        h("p", {}, "Try one of these:"),
        h(
          "div",
          { class: "examples" },
          examples.map(({ prompt, picture }) =>
            h(
              "button",
              {
                type: "button",
                onclick: () => {
                  fill({ prompt }, "Prompt replaced.");
                  form.entry("prompt")?.focus();
                },
              },
              picture ? h("img", { src: picture, alt: "", width: 64, height: 64 }) : null,
              prompt,
            ),
          ),
        ),
      );
}

/** What stands in the place of an ended job's picture if there is none. */
export const withoutPicture = (job) =>
  h(
    "div",
    { class: "empty" },
    h(
      "p",
      {},
      job.images.length
        ? "The picture no longer exists."
        : "Your settings are unchanged; press Generate to try again.",
    ),
  );
