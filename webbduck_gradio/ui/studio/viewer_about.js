// @ts-check
// The menu with the settings that a picture was generated with.
import { h } from "../shared/dom.js";
import { labelOf, withUnit } from "../shared/settings.js";
import { changeSettings, fill } from "./settings_menu.js";

/** The menu's content; `shown` is {job, image, seed}. */
export function settingsMenu(shown, close) {
  const { job } = shown;
  const { prompt, negative_prompt, ...rest } = { ...job.told, seed: shown.seed };
  const rows = Object.entries(rest)
    .filter(([name]) => !["width", "height", "image", "mask", "num_images"].includes(name))
    .map(([name, value]) => [labelOf(name), withUnit(name, value)]);
  return [
    h("p", { class: "about-prompt" }, prompt || "(no prompt)"),
    h(
      "dl",
      { class: "details" },
      [
        ...(negative_prompt ? [["Negative", negative_prompt]] : []),
        ["Size", `${job.request.width} × ${job.request.height} px`],
        ...rows,
      ].flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
    h("hr"),
    h(
      "button",
      {
        type: "button",
        class: "menu-item strong",
        onclick: () => {
          close();
          changeSettings("use_settings", { id: shown.image });
        },
      },
      "Use all settings",
    ),
    h(
      "button",
      {
        type: "button",
        class: "menu-item",
        onclick: () => {
          close();
          fill({ prompt }, "Prompt replaced.");
        },
      },
      "Use only the prompt",
    ),
  ];
}
