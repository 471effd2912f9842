// @ts-check
// The chosen styles, below the prompt: their order, and what they make of it.
import { publish, subscribe } from "../shared/bus.js";
import { button, h, listenerSignal, put, setText } from "../shared/dom.js";
import { nameWithOrigin } from "../shared/origins.js";
import { callOrToast } from "../shared/server_call.js";
import { toast } from "../shared/toast.js";
import * as form from "./form.js";
import { listIn, setValue, valueOf } from "./list_value.js";
import { makeOrderedRows } from "./ordered_rows.js";
import { openStyles } from "./style_dialog.js";
import { applied, isRecorded, stateOf } from "./style_texts.js";

const SAID = {
  changed: "As the picture recorded it; the style was changed since.",
  gone: "As the picture recorded it; there is no style of this name here.",
  missing: "There is no style of this name any more.",
};

/** @param {GradioView} view */
export default function start({ element, props, trigger, server, watch }) {
  const rows = h("ol", { class: "style-rows", "aria-label": "Chosen styles" });
  const prompt = h("p");
  const negative = h("p");
  const whole = h(
    "details",
    { class: "style-finished" },
    h("summary", {}, "Finished prompt"),
    h("b", {}, "Prompt"),
    prompt,
    h("b", {}, "Negative prompt"),
    negative,
  );
  const write = button("Put into the prompt", writeIntoPrompt, {
    class: "style-write",
    title: "Write what they add into the prompt, and choose none",
  });
  put(element.querySelector(".styles"), rows, whole, write);
  /** @type {Record<string, string>[]} with texts only where a picture recorded others than the list has */
  let chosen = [];
  /** All styles as /styles lists them; null until they were asked for. @type {any[] | null} */
  let all = null;
  let version = "";
  let shownVersion = "";
  let asking = 0;

  const known = (name) => all?.find((each) => each.name === name);
  const opener = () => document.querySelector(".open-styles");
  const prompts = () => {
    const { prompt: text = "", negative_prompt = "" } = form.typedState() ?? {};
    return { prompt: text ?? "", negative_prompt: negative_prompt ?? "" };
  };

  function save() {
    const value = valueOf(chosen);
    publish("styles", value);
    setValue({ props, trigger }, value);
  }

  function take(value) {
    const found = listIn(value);
    if (!found) return;
    chosen = found.filter((each) => typeof each?.name === "string").slice(0, props.most);
    draw();
    save();
    // Recorded texts are compared with the styles as they are at this moment.
    if (chosen.length) load(chosen.some(isRecorded));
  }

  /** Leave out the recorded texts that the styles have anyway, so that they follow later changes. */
  function settle() {
    chosen = chosen.map((each) => (stateOf(each, known(each.name)) === "" ? { name: each.name } : each));
    draw();
    save();
  }

  /** Ask for the styles if they have changed, or in any case. */
  async function load(anyway = false) {
    if (!anyway && all && shownVersion === version) return;
    const asked = version;
    const number = ++asking;
    const found = await callOrToast(() => server.webbduck_styles({}));
    if (!found || number !== asking) return; // a later answer is on its way
    all = found.styles;
    shownVersion = asked;
    settle();
    publish("style-list", all);
  }

  function row(each, { grip, buttons }) {
    const state = all ? stateOf(each, known(each.name)) : "";
    const use = () => {
      chosen = chosen.map((other) => (other === each ? { name: each.name } : other));
      settle();
    };
    return h(
      "li",
      { class: state ? "differs" : "", "data-name": each.name },
      h(
        "div",
        { class: "draggable" },
        grip,
        h("span", { class: "name", title: each.name }, nameWithOrigin(known(each.name) ?? each)),
      ),
      buttons,
      state
        ? h(
            "p",
            { class: "hint" },
            SAID[state],
            state === "changed" ? button("Use it as it is now", use) : null,
          )
        : null,
    );
  }

  const ordered = makeOrderedRows({
    rows,
    list: () => chosen,
    row,
    opener,
    changed: () => {
      draw();
      save();
    },
  });
  function draw() {
    ordered.draw();
    showCount();
  }

  function showCount() {
    const node = opener();
    if (node) setText(node, chosen.length ? `Styles (${chosen.length})` : "Styles");
  }

  /** The texts become part of the prompts, and no style is chosen; the finished prompts stay the same. */
  function writeIntoPrompt() {
    const texts = chosen.map((each) => (each.prompt === undefined ? known(each.name) : each));
    const gone = chosen.find((each, place) => !texts[place]);
    if (gone) {
      toast(`There is no style ${gone.name} any more; remove it.`);
      return;
    }
    const before = { ...prompts(), chosen };
    const fill = (to) => {
      form.set("prompt", to.prompt);
      form.set("negative_prompt", to.negative_prompt);
      chosen = to.chosen;
      draw();
      save();
    };
    fill({
      ...applied(
        texts.map((each) => ({ prompt: "", negative_prompt: "", ...each })),
        before,
      ),
      chosen: [],
    });
    toast("The styles are part of the prompt now.", () => fill(before));
    form.entry("prompt")?.focus();
  }

  // -- the dialog --------------------------------------------------------------------------------------

  async function open(anchor) {
    await load();
    if (!all) return;
    openStyles(anchor, {
      server,
      most: props.most,
      list: () => all ?? [],
      prompts,
      chosen: () => chosen.map((each) => each.name),
      choose(name, yes) {
        if (yes) chosen.push({ name });
        else chosen = chosen.filter((each) => each.name !== name);
        draw();
        save();
      },
      renamed(from, to) {
        chosen = chosen.map((each) => (each.name === from ? { ...each, name: to } : each));
      },
      reload: () => load(true),
    });
  }

  document.addEventListener(
    "click",
    (event) => {
      const anchor = event.target.closest?.(".open-styles");
      if (anchor) open(anchor);
    },
    { signal: listenerSignal("styles") },
  );
  window.webbduckPressedEarly.end(".open-styles");
  watch("value", () => {
    if ((props.value ?? "") !== valueOf(chosen)) take(props.value);
  });
  subscribe("catalog", (catalog) => {
    version = catalog.styles.version;
    if (all || chosen.length) load();
  });
  subscribe("form", showCount);
  subscribe("add-style", ({ name }) => {
    if (chosen.some((each) => each.name === name)) return;
    if (chosen.length >= props.most) {
      toast(`At most ${props.most} styles can be used; remove one first.`);
      return;
    }
    chosen.push({ name });
    draw();
    save();
  });
  subscribe("finished", (texts) => {
    whole.hidden = !texts;
    setText(prompt, texts?.prompt || "Empty");
    setText(negative, texts?.negative_prompt || "Empty");
  });
  whole.hidden = true;
  take(props.value);
}
