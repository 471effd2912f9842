// @ts-check
// Above steps and sampler: the settings that a distilled checkpoint or LoRA is made for, to be taken over by
// one press.
import { last, subscribe } from "../shared/bus.js";
import { button, h, put, setHidden } from "../shared/dom.js";
import { looksLike, settingsText, suggestionFor } from "../shared/distilled.js";
import { getPref, setPref } from "../shared/preferences.js";
import { focusAction } from "../shared/toast.js";
import * as form from "./form.js";
import { changeSettings, offerUndo } from "./settings_menu.js";

const MOST_DISMISSED = 100;

/** @param {GradioView} view */
export default function start({ element }) {
  const note = h("div", { class: "distilled about-models notice information", role: "status", hidden: true });
  element.querySelector(".distilled-place").append(note);
  let shown = "";

  const dismissed = () => getPref("distilledDismissed", []);

  function draw() {
    const values = form.typedState();
    const catalog = last.get("catalog");
    if (!values || !catalog) return;
    const found = suggestionFor(values, catalog, webbduckFacts.automatic_schedules);
    const key = found && JSON.stringify([found.name, found.wanted]);
    const isSuggested = found !== null && !dismissed().includes(key);
    setHidden(note, !isSuggested);
    if (!isSuggested || key === shown) return;
    shown = key;
    const text = looksLike(found.distilled, found.what);
    put(
      note,
      h("span", {}, h("b", {}, found.name), ` ${text[0].toLowerCase()}${text.slice(1)}.`),
      button(`Use ${settingsText(found.distilled)}`, () => use(found), { class: "near" }),
      button("×", () => dismiss(key), { class: "dismiss", "aria-label": "Dismiss" }),
    );
  }

  function use({ name, wanted }) {
    const before = form.typedState();
    changeSettings("restore", { values: wanted });
    offerUndo(`Set for ${name}: ${settingsText(wanted)}.`, before);
    focusAction();
  }

  function dismiss(key) {
    setPref("distilledDismissed", [...dismissed(), key].slice(-MOST_DISMISSED));
    draw();
    form.entry("steps")?.focus();
  }

  for (const topic of ["form", "catalog"]) subscribe(topic, draw);
}
