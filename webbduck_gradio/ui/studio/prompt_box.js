// @ts-check
// Below the prompt: token counts, prompt warnings, and saved prompts.
import { publish, subscribe } from "../shared/bus.js";
import { h, isTyping, listenerSignal } from "../shared/dom.js";
import { callOrToast, callServer } from "../shared/server_call.js";
import { selectedTab } from "../shared/tabs.js";
import { toast } from "../shared/toast.js";
import { isCovered, menu } from "../shared/widgets.js";
import { takeWords } from "./added_words.js";
import * as form from "./form.js";
import { completePrompts } from "./prompt_completion.js";
import { keepHistory } from "./prompt_history.js";
import { makeSteps, stepsOf } from "./prompt_steps.js";
import { makeUnknown } from "./prompt_unknown.js";
import { changeSettings, fill } from "./settings_menu.js";

/** @param {GradioView} view */
export default function start({ element, server }) {
  const counter = element.querySelector(".counter");
  const message = element.querySelector(".prompt-message");
  const saved = element.querySelector(".saved");
  const unknown = makeUnknown();
  const steps = makeSteps();
  message.after(steps.node, unknown.node);
  const beside = {
    negative_prompt: h("span", { class: "counter beside" }),
    prompt_2: h("span", { class: "counter beside" }),
  };
  let asked = "";
  let answered = "";
  let waiting = null;
  let asking = false;

  /** Debounced; only one request is in flight, and the latest state is always counted in the end. */
  function count(state) {
    const { prompt, prompt_2, negative_prompt, base_model, loras, seed, styles } = state;
    const words = { prompt, prompt_2, negative_prompt, styles };
    asked = JSON.stringify({ ...words, base_model, loras, seed, ...stepsOf(state) });
    clearTimeout(waiting);
    waiting = setTimeout(ask, 200);
  }
  async function ask() {
    if (asking || asked === answered) return;
    asking = true;
    const question = asked;
    const found = await callServer(() => server.webbduck_tokens(JSON.parse(question)));
    asking = false;
    answered = question;
    if (!found.error) draw(found, JSON.parse(question));
    if (asked !== question) ask();
  }

  const CHUNK = 75;
  const figure = (each) => `${each.tokens} / ${each.chunks * CHUNK}`;
  const lengthText = (count) =>
    `${count.toLocaleString("en")} of at most ${webbduckFacts.max_prompt.toLocaleString("en")} characters`;
  function draw(found, question) {
    const { prompt, prompt_2, negative_prompt } = found;
    const two = question.prompt_2.trim();
    const tooLong = found.long ?? {};
    counter.textContent = tooLong.prompt
      ? lengthText(tooLong.prompt)
      : two
        ? `1: ${figure(prompt)} · 2: ${figure(prompt_2)}`
        : figure(prompt);
    counter.title = two
      ? `Tokens of the first text encoder (CLIP-L) and of the second (OpenCLIP-G), in chunks of ${CHUNK}`
      : `Tokens of both text encoders (CLIP-L and OpenCLIP-G read the same), in chunks of ${CHUNK}`;
    counter.classList.toggle(
      "over",
      Boolean(tooLong.prompt) || prompt.split || Boolean(two && prompt_2.split),
    );
    for (const [field, node] of Object.entries(beside)) {
      const block = form.control(field);
      if (block && node.parentNode !== block) block.append(node);
      node.textContent = tooLong[field]
        ? lengthText(tooLong[field])
        : question[field].trim()
          ? figure(found[field])
          : "";
      node.classList.toggle("over", Boolean(tooLong[field]) || found[field].split);
    }
    const long = [
      ["prompt", prompt],
      ["second prompt", prompt_2],
      ["negative prompt", negative_prompt],
    ].filter(([, each]) => each.split);
    const parts = long.map(
      ([name, each]) =>
        `The ${name} has ${each.tokens} tokens and is encoded in ${each.chunks} chunks of ${CHUNK}: ` +
        "nothing is cut off, but words in different chunks influence each other less.",
    );
    const text = [found.problem, ...found.brackets, ...parts].filter(Boolean).join(" ");
    unknown.show(found.unknown);
    steps.show(found.steps);
    publish("finished", found.finished ?? null);
    message.hidden = !text;
    message.textContent = text;
    message.classList.toggle("wrong", Boolean(found.problem));
  }
  subscribe("form", count);

  // -- saved prompts
  const list = menu(saved, "Saved prompts", async (close) => {
    const found = await callOrToast(() => server.webbduck_prompts({}));
    const { prompt, negative_prompt } = form.state() ?? {};
    const save = h(
      "button",
      {
        type: "button",
        class: "menu-item strong",
        disabled: !prompt?.trim(),
        onclick: async () => {
          if (await callOrToast(() => server.webbduck_keep_prompt({ prompt, negative_prompt }))) {
            close();
            toast("Prompt saved.");
          }
        },
      },
      "Save the current prompt",
    );
    const rows = (found?.prompts ?? []).map((each) =>
      h(
        "div",
        { class: "menu-row" },
        h(
          "button",
          {
            type: "button",
            class: "menu-item",
            title: each.negative_prompt ? `Negative prompt: ${each.negative_prompt}` : "",
            onclick: () => {
              close();
              fill({ prompt: each.prompt, negative_prompt: each.negative_prompt }, "Prompt replaced.");
            },
          },
          each.prompt,
        ),
        h(
          "button",
          {
            type: "button",
            class: "menu-remove",
            "aria-label": `Remove: ${each.prompt}`,
            onclick: async () => {
              if (!(await callOrToast(() => server.webbduck_drop_prompt(each.id)))) return;
              await list.refill();
              toast("Saved prompt removed.", () => callOrToast(() => server.webbduck_keep_prompt(each)));
            },
          },
          "×",
        ),
      ),
    );
    return [
      save,
      h(
        "div",
        { class: "menu-list" },
        rows.length ? rows : h("p", { class: "menu-empty" }, "No saved prompts yet."),
      ),
    ];
  });

  keepHistory();
  takeWords();
  completePrompts();

  // Pasting a `parameters` text, as A1111 copies it, fills the whole form; outside the prompt it is offered.
  document.addEventListener(
    "paste",
    (event) => {
      const text = event.clipboardData?.getData("text/plain") ?? "";
      if (!/(^|\n)\s*Steps:\s*\d+\s*,/.test(text)) return;
      const use = () => changeSettings("paste_parameters", { text });
      if (event.target.closest?.("#prompt")) {
        event.preventDefault();
        use();
      } else if (!isTyping(event.target) && selectedTab() === "studio" && !isCovered()) {
        event.preventDefault();
        toast("The pasted text holds settings.", use, "Use them");
      }
    },
    { capture: true, signal: listenerSignal("prompt_box") },
  );
}
