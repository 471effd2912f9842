// @ts-check
// Changes of many settings at once: presets, reset, settings from a picture or a text; each can be undone.
import { publish, subscribe } from "../shared/bus.js";
import { h } from "../shared/dom.js";
import { callOrToast } from "../shared/server_call.js";
import { selectedTab } from "../shared/tabs.js";
import { toast } from "../shared/toast.js";
import { menu } from "../shared/widgets.js";
import * as form from "./form.js";

let before = null;
/** @type {Pick<GradioView, "trigger" | "upload"> | null} */
let events = null;

/** Keep the form's values for Undo. To be called before an event of any view that fills the form. */
export function keepForUndo() {
  before = form.typedState();
}

/** Trigger an event that sets many values at once; the previous values are kept for Undo. */
export function changeSettings(event, asked) {
  keepForUndo();
  events?.trigger(event, asked);
}

/** Say that the form was filled, and offer to set these values again, and to hide the picture if it came. */
export function offerUndo(text, values, picture = null) {
  const undo = () => {
    if (picture) publish("picture", null);
    events?.trigger("restore", { values });
  };
  toast(text, values ? undo : null);
}

/** Set some text or number controls, say so, and offer Undo. */
export function fill(values, text) {
  const typed = form.typedState();
  const set = (from) => Object.keys(values).forEach((field) => form.set(field, from[field]));
  set(values);
  toast(text, typed ? () => set(typed) : null);
}

/** Fill the form with the settings in a picture file's metadata. */
export async function readSettings(picture) {
  let sent;
  try {
    sent = await events?.upload(picture);
  } catch {
    toast("The picture could not be uploaded; try again.");
    return;
  }
  changeSettings("read_picture", { file: { path: sent.path } });
}

/** Call `then` once the Studio is shown, since what is hidden does not scroll. */
export function whenShown(then, tries = 120) {
  if (!tries || (selectedTab() === "studio" && document.getElementById("settings")?.offsetParent)) then();
  else requestAnimationFrame(() => whenShown(then, tries - 1));
}

/** @param {GradioView} view */
export default function start({ element, trigger, server, upload }) {
  const button = element.querySelector(".presets");
  const file = element.querySelector(".file");
  events = { trigger, upload };

  file.onchange = () => {
    if (file.files[0]) readSettings(file.files[0]);
    file.value = "";
  };

  const list = menu(button, "Presets", async (close) => {
    const found = await callOrToast(() => server.webbduck_presets({}));
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
        toast(`Saved as ${name.value.trim()}.`);
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
            class: "menu-remove",
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
              { class: "menu-empty" },
              "A preset holds all settings except prompts, seed and input picture.",
            ),
      ),
      h(
        "div",
        { class: "menu-new" },
        name,
        h("button", { type: "button", class: "menu-save", onclick: save }, "Save"),
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
    const { picture } = value;
    if (picture) publish("picture", picture);
    const values = before;
    whenShown(() => {
      offerUndo(
        value.said ?? (value.done === "Reset" ? "All settings were reset." : `${value.done} loaded.`),
        values,
        picture,
      );
      // The input picture is further down, and its group was just opened.
      if (value.done !== "Input picture") document.getElementById("settings")?.scrollTo({ top: 0 });
    });
  });
}
