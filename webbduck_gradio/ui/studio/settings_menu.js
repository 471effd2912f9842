// @ts-check
// Settings as a whole: presets, reset, what a picture or a text says; each with the way back.
import { subscribe } from "../shared/bus.js";
import { h } from "../shared/dom.js";
import { callOrToast } from "../shared/server_call.js";
import { toast } from "../shared/toast.js";
import { menu } from "../shared/widgets.js";
import * as form from "./form.js";

let before = null;
/** @type {Pick<GradioView, "trigger" | "upload"> | null} */
let events = null;

/** An event that sets many values at once; what they were is kept for Undo. */
export function changeSettings(event, asked) {
  before = form.typedState();
  events?.trigger(event, asked);
}

/** Fill the form with the settings in a picture's file. */
export async function readSettings(picture) {
  let sent;
  try {
    sent = await events?.upload(picture);
  } catch {
    toast("The picture could not be sent to the server; try again.");
    return;
  }
  changeSettings("read_picture", { file: { path: sent.path } });
}

/** @param {GradioView} view */
export default function start({ element, trigger, server, upload }) {
  const button = element.querySelector(".presets");
  const file = element.querySelector(".file");
  // Events: 'apply_preset' 'use_defaults' 'use_settings' 'reset' 'restore' 'paste_parameters' 'read_picture'
  events = { trigger, upload };

  file.onchange = () => {
    if (file.files[0]) readSettings(file.files[0]);
    file.value = "";
  };

  const list = menu(button, "Presets", async (close) => {
    const found = await callOrToast(() => server.webbduck_shelf({}));
    const name = h("input", {
      type: "text",
      placeholder: "Name of a new preset",
      "aria-label": "Name of a new preset",
    });
    const save = async () => {
      if (!name.value.trim()) return name.focus();
      if (
        await callOrToast(() => server.webbduck_keep_preset({ name: name.value, settings: form.state() }))
      ) {
        close();
        toast(`Kept as ${name.value.trim()}.`);
      }
    };
    name.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        save();
      }
    });
    const rows = Object.entries(found?.presets ?? {}).map(([title, settings]) =>
      h(
        "div",
        { class: "menu-row" },
        h(
          "button",
          {
            type: "button",
            class: "menu-item",
            onclick: () => {
              close();
              changeSettings("apply_preset", { name: title });
            },
          },
          title,
        ),
        h(
          "button",
          {
            type: "button",
            class: "menu-drop",
            "aria-label": `Remove ${title}`,
            onclick: async () => {
              if (!(await callOrToast(() => server.webbduck_drop_preset(title)))) return;
              await list.refill();
              toast(`${title} removed.`, () =>
                callOrToast(() => server.webbduck_keep_preset({ name: title, settings })),
              );
            },
          },
          "×",
        ),
      ),
    );
    return [
      h(
        "div",
        { class: "menu-list" },
        rows.length
          ? rows
          : h(
              "p",
              { class: "menu-nothing" },
              "A preset keeps all settings but prompts, seed and input picture.",
            ),
      ),
      h(
        "div",
        { class: "menu-new" },
        name,
        h("button", { type: "button", class: "menu-keep", onclick: save }, "Keep"),
      ),
      h("hr"),
      h(
        "button",
        {
          type: "button",
          class: "menu-item",
          onclick: () => {
            close();
            file.click();
          },
        },
        "Read settings from a picture",
      ),
      h(
        "button",
        {
          type: "button",
          class: "menu-item",
          onclick: () => {
            close();
            changeSettings("reset", { base_model: form.state()?.base_model });
          },
        },
        "Reset everything",
      ),
    ];
  });

  let seen = 0;
  subscribe("outcome", (value) => {
    if (!value.done || value.at === seen) return;
    seen = value.at;
    const values = before;
    toast(
      value.done === "Reset" ? "Everything is reset." : `${value.done} put in.`,
      values ? () => trigger("restore", { values }) : null,
    );
  });
}
