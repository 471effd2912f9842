// @ts-check
// Above steps and sampler: a checkpoint without a VAE of its own was chosen, and no VAE.
import { last, subscribe } from "../shared/bus.js";
import { button, h, put, setHidden } from "../shared/dom.js";
import { needsVae } from "../shared/missing_vae.js";
import { focusAction } from "../shared/toast.js";
import * as form from "./form.js";
import { changeSettings, offerUndo } from "./settings_menu.js";

const MOST_BUTTONS = 3;

/** @param {GradioView} view */
export default function start({ element }) {
  const note = h("div", { class: "missing-vae about-models notice", role: "status", hidden: true });
  element.querySelector(".missing-vae-place").append(note);
  let shown = "";
  /** @type {string | null} the checkpoint that the control's message is about */
  let marked = null;

  function draw() {
    const values = form.typedState();
    const catalog = last.get("catalog");
    if (!values || !catalog) return;
    const name = needsVae(values, catalog.checkpoints);
    setHidden(note, name === null);
    if (name !== marked) {
      form.showProblem("vae", name && `${name} has no VAE of its own; choose one here.`, "live");
      marked = name;
    }
    const names = catalog.vaes.map(({ value }) => value).filter(Boolean);
    const key = JSON.stringify([name, names]);
    if (name === null || key === shown) return;
    shown = key;
    const what = names.length ? "choose one to draw with it." : "put one for SDXL into checkpoint/vae.";
    put(
      note,
      h("span", {}, h("b", {}, name), ` has no VAE of its own; ${what}`),
      names
        .slice(0, MOST_BUTTONS)
        .map((vae) => button(`Use ${vae}`, () => use(name, vae), { class: "near" })),
      names.length > MOST_BUTTONS ? button("Other VAEs", others, { class: "near" }) : null,
    );
  }

  function use(name, vae) {
    const before = form.typedState();
    changeSettings("restore", { values: { vae } });
    offerUndo(`${name} draws with the VAE ${vae}.`, before);
    focusAction();
  }

  function others() {
    form.showGroup("more", true);
    form.entry("vae")?.focus();
  }

  for (const topic of ["form", "catalog"]) subscribe(topic, draw);
}
