// @ts-check
// The dialog "Draws": ten draws of the prompt, one of which can take its place, and all combinations.
import { button, h, home, put, setText } from "../shared/dom.js";
import { callServer } from "../shared/server_call.js";
import { toast } from "../shared/toast.js";
import * as form from "./form.js";
import { fill } from "./settings_menu.js";
import { submitValues } from "./submitter.js";

const SEEDS = 2 ** 32;
const FIELDS = ["prompt", "negative_prompt", "prompt_2"];

/** Where a draw's values came from, in one line. */
const origins = (draws) =>
  draws
    .filter((each) => each.file)
    .map((each) => `${each.text} (${each.file}${each.line ? `, line ${each.line}` : ""})`)
    .join(" · ");

/** @param {any} anchor @param {any} server */
export function openDraws(anchor, server) {
  const typed = form.typedState() ?? {};
  let seed = typeof typed.seed === "number" && typed.seed >= 0 ? typed.seed : randomSeed();
  const message = h("p", { class: "muted", role: "status" });
  const list = h("ol", { class: "draws" });
  const all = button("", queueAll, { class: "draws-all", hidden: true });
  const dialog = h(
    "dialog",
    { class: "plain-dialog wildcard-dialog", "aria-label": "Draws of the prompt" },
    h("h2", {}, "Draws of the prompt"),
    message,
    list,
    h(
      "div",
      { class: "wildcard-buttons" },
      button("Ten more", () => {
        seed = (seed + 10) % SEEDS;
        draw();
      }),
      all,
    ),
    button("×", () => dialog.close(), { class: "close", "aria-label": "Close" }),
  );
  let found = null;

  async function draw() {
    const { prompt, negative_prompt, prompt_2, loras } = form.state() ?? {};
    const asked = { prompt, negative_prompt, prompt_2, loras, seed };
    found = await callServer(() => server.webbduck_draws(asked));
    if (found.error) {
      setText(message, found.error);
      put(list);
      all.hidden = true;
      return;
    }
    setText(message, "Press one to put it into the prompt. Each image of a job uses the next seed.");
    put(list, found.texts.map(entry));
    const count = found.combinations;
    all.hidden = !(count > 1);
    setText(all, `Queue all ${count?.toLocaleString("en")} combinations`);
  }

  function entry(each) {
    const from = origins(each.draws);
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", onclick: () => take(each) },
        h("b", {}, `Seed ${each.seed}`),
        h("span", {}, each.prompt || "(an empty prompt)"),
        each.negative_prompt !== (form.state()?.negative_prompt ?? "")
          ? h("span", { class: "muted" }, `Negative prompt: ${each.negative_prompt}`)
          : null,
        from ? h("span", { class: "muted" }, from) : null,
      ),
    );
  }

  function take(each) {
    dialog.close();
    const now = form.state() ?? {};
    const values = Object.fromEntries(
      FIELDS.filter((name) => each.typed[name] !== (now[name] ?? "")).map((name) => [name, each.typed[name]]),
    );
    fill({ ...values, seed: each.seed }, "Drawn prompt put in, with its seed.");
  }

  /** A job for each `found.images` combinations, with the seeds that one batch would have. */
  async function queueAll() {
    const { combinations: count, images } = found;
    all.disabled = true;
    const values = form.typedState() ?? {};
    let queued = 0;
    let problem = "";
    while (queued < count && !problem) {
      const size = Math.min(images, count - queued);
      const more = { combination: queued, num_images: size, seed: (seed + queued) % SEEDS };
      const outcome = await submitValues("generate", { ...values, ...more });
      if (outcome.job_id) queued += size;
      else problem = outcome.error ?? "The order was not taken.";
    }
    all.disabled = false;
    if (!problem) dialog.close();
    toast(
      problem
        ? `${queued} of ${count} combinations are queued: ${problem}`
        : `${count} combinations are queued.`,
    );
  }

  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    anchor.focus();
  });
  home().append(dialog);
  dialog.showModal();
  draw();
}

function randomSeed() {
  return Math.floor(Math.random() * SEEDS);
}
