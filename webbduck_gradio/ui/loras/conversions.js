// @ts-check
// Conversion of pickles to safetensors: a button beside each, and an offer for all of a section.
import { subscribe } from "../shared/bus.js";
import { button, h, put, setHidden, setText } from "../shared/dom.js";
import { many } from "../shared/format.js";
import { callOrToast } from "../shared/server_call.js";

const ENDINGS = /\.(?:ckpt|pt|pth|bin|pkl)$/i;
/** @type {Record<string, string[]>} */
const KINDS = {
  loras: ["lora"],
  embeddings: ["embedding"],
  checkpoints: ["checkpoint"],
  tools: ["upscale", "vae"],
};
const WHAT_HAPPENS =
  "Conversion writes a .safetensors copy of a pickle’s numbers. A separate process reads it, which runs " +
  "nothing that the file asks for and has no network; the file itself stays unchanged.";

/** @type {{ pickles: any[], conversions: any[] }} */
let state = { pickles: [], conversions: [] };
/** @type {any} */
let server;
/** @type {HTMLElement} */
let home;
let section = "loras";

const isOpen = (each) => each.state === "waiting" || each.state === "running";

/** @param {HTMLElement} place where the offer of the section goes */
export function startConversions(functions, place) {
  server = functions;
  home = place;
  subscribe("conversions", (value) => {
    state = value;
    for (const node of document.querySelectorAll(".convert")) fill(node);
    drawConversions(section);
  });
}

/** What belongs below the reason of a file that cannot be used: nothing, unless it is a pickle. */
export function convertPart(kind, name) {
  if (!kind || !ENDINGS.test(name)) return null;
  const node = h("div", { class: "convert", "data-kind": kind, "data-name": name });
  fill(node);
  return node;
}

const convert = (asked) => callOrToast(() => server.webbduck_convert(asked));
const cancel = (id) => callOrToast(() => server.webbduck_cancel_conversion(id));

function fill(node) {
  const { kind, name } = node.dataset;
  const isIt = (each) => each.kind === kind && each.name === name;
  const pickle = state.pickles.find(isIt);
  const found = state.conversions.find((each) => isIt(each) && isOpen(each));
  const key = JSON.stringify([pickle, found?.id, found?.state]);
  if (node.dataset.key !== key) {
    const focused = node.contains(document.activeElement);
    node.dataset.key = key;
    put(node, ...parts(kind, name, pickle, found));
    if (focused) node.querySelector("button")?.focus();
  }
  const bar = node.querySelector("progress");
  if (bar && found) {
    const share = found.total ? found.done / found.total : 0;
    bar.value = share;
    setText(node.querySelector(".share"), `${Math.round(100 * share)} %`);
  }
}

function parts(kind, name, pickle, found) {
  if (found) {
    const stop = button("Cancel", () => cancel(found.id), {
      "aria-label": `Cancel the conversion of ${name}`,
    });
    if (found.state === "waiting") return [h("span", { class: "muted" }, "Waits for its turn"), stop];
    const label = `Conversion of ${name}`;
    return [
      h("progress", { class: "share-bar", max: "1", value: "0", "aria-label": label }),
      h("span", { class: "share" }, "0 %"),
      stop,
    ];
  }
  if (!pickle) return [];
  if (pickle.converted) return [h("span", { class: "muted" }, `Converted to ${pickle.converted}.`)];
  return [
    button("Convert", () => convert({ kind, name }), {
      "aria-label": `Convert ${name} to safetensors`,
      title: WHAT_HAPPENS,
    }),
  ];
}

/** Show the offer and the results of the section "loras", "embeddings", "checkpoints" or "tools". */
export function drawConversions(shown) {
  section = shown;
  const kinds = KINDS[section] ?? [];
  const here = (each) => kinds.includes(each.kind);
  const open = state.conversions.filter((each) => here(each) && isOpen(each));
  const left = state.pickles.filter(
    (each) =>
      here(each) && !each.converted && !open.some((one) => one.kind === each.kind && one.name === each.name),
  );
  const ended = state.conversions.filter((each) => here(each) && !isOpen(each));
  setHidden(home, !left.length && !open.length && !ended.length);
  const key = JSON.stringify([section, left, open.length, ended]);
  if (home.dataset.key === key) return;
  home.dataset.key = key;
  put(
    home,
    left.length || open.length
      ? h(
          "div",
          { class: "offer" },
          h("p", {}, left.length ? `${many(left.length, "pickle")} here. ${WHAT_HAPPENS}` : WHAT_HAPPENS),
          left.length ? button(`Convert all (${left.length})`, () => convert({ kinds })) : null,
        )
      : null,
    h(
      "div",
      { role: "status", "aria-label": "Conversions" },
      ended.length
        ? h(
            "ul",
            {},
            ended.map((each) => h("li", { class: each.state }, each.text)),
          )
        : null,
    ),
    ended.length
      ? h(
          "div",
          {},
          button("Clear the list", () => callOrToast(() => server.webbduck_clear_conversions(null))),
        )
      : null,
  );
}
