// @ts-check
// What a LoRA of the stack has beside its weight: the text encoders' weight, weights by block, start and end.
import { makeCombobox } from "../shared/combobox.js";
import { h, setHidden } from "../shared/dom.js";
import { numberField, readNumber } from "../shared/numbers.js";

/** The keys that an item has only if they were set. */
export const MORE = ["te_weight", "blocks", "start", "end"];
const OWN = "own";
const LABELS = { te_weight: "Text encoder weight", start: "Start", end: "End" };
const HELP = {
  te_weight: "Weight in the text encoders. Empty: the weight above.",
  blocks: "Which blocks of the UNet it changes, IN on the way down, M in the middle, OUT on the way up.",
  start: "Share of the steps, 0 to 1, from which it acts in the UNet. Empty: from the first step.",
  end: "Share of the steps, 0 to 1, up to which it acts in the UNet. Empty: up to the last step.",
};
const PRESET_LABELS = {
  "": "All alike",
  INS: "INS, shallow inputs",
  IND: "IND, deep inputs",
  INALL: "INALL, inputs",
  MIDD: "MIDD, deep ones",
  OUTD: "OUTD, deep outputs",
  OUTS: "OUTS, shallow outputs",
  OUTALL: "OUTALL, outputs",
  "ALL0.5": "ALL0.5, all by half",
  NONE: "NONE, no block",
  [OWN]: "Own list",
};

/** The first problem of what was typed, as a sentence; null if there is none. */
export function problemOf(item) {
  for (const [key, label] of Object.entries({ weight: "weight", ...LABELS })) {
    const { value, problem } = readNumber(item[key] ?? "");
    const subject = `Its ${label.toLowerCase()}`;
    if (problem) return `${subject} ${problem}.`;
    if (typeof value !== "number") continue;
    const [least, most] = key === "start" || key === "end" ? [0, 1] : [-2, 2];
    if (value < least || value > most) return `${subject} must be from ${least} to ${most}.`;
  }
  return null;
}

/** What is set, in a few words; "" if nothing is. */
export function summary(item) {
  const parts = [];
  if (item.te_weight !== undefined) parts.push(`text ${item.te_weight}`);
  if (item.blocks !== undefined) parts.push(/,/.test(item.blocks) ? "own blocks" : item.blocks);
  if (item.start !== undefined || item.end !== undefined) {
    parts.push(`steps ${item.start ?? 0} to ${item.end ?? 1}`);
  }
  return parts.join(" · ");
}

/**
 * The fields, which change `item` and then call `changed`.
 *
 * @param {any} item
 * @param {string[]} presets names of the server's presets of blocks
 * @param {() => void} changed
 */
export function moreFields(item, presets, changed) {
  const set = (key, value) => {
    if (value === "" || value === null) delete item[key];
    else item[key] = value;
    changed();
  };
  const number = (key, limits) => {
    const input = numberField(
      h("input", {
        type: "text",
        class: "more-input",
        value: item[key] ?? "",
        placeholder: { te_weight: "As weight", start: "0", end: "1" }[key],
        title: HELP[key],
        "aria-label": `${LABELS[key]} of ${item.name}`,
      }),
      { step: 0.05, ...limits },
    );
    input.oninput = () => {
      const { value, problem } = readNumber(input.value);
      set(key, problem ? input.value : value); // invalid text stays, and the server refuses it
      const wrong = problem || (typeof value === "number" && (value < limits.least || value > limits.most));
      input.setAttribute("aria-invalid", String(Boolean(wrong)));
    };
    return h("label", { class: "field" }, h("span", {}, LABELS[key]), input);
  };
  const isOwn = () => item.blocks !== undefined && !presets.includes(item.blocks);
  const list = h("input", {
    type: "text",
    class: "more-input",
    value: isOwn() ? item.blocks : "",
    placeholder: "12, 17, 20 or 26 numbers with commas",
    title:
      "BASE (text encoders), then the blocks from IN to OUT; 12 are SDXL's with attention, 20 all of SDXL.",
    "aria-label": `Block weights of ${item.name}, numbers`,
    autocomplete: "off",
    spellcheck: "false",
    hidden: !isOwn(),
    oninput: () => set("blocks", list.value.trim()),
  });
  const blocks = makeCombobox({
    label: `Blocks of ${item.name}`,
    title: HELP.blocks,
    choices: ["", ...presets.filter((name) => name !== "ALL"), OWN].map((value) => ({
      value,
      label: PRESET_LABELS[value] ?? value,
    })),
    value: isOwn() ? OWN : (item.blocks ?? ""),
    onchange: (value) => {
      setHidden(list, value !== OWN);
      set("blocks", value === OWN ? list.value.trim() : value);
      if (value === OWN) list.focus();
    },
  });
  return h(
    "div",
    { class: "more-fields" },
    number("te_weight", { least: -2, most: 2 }),
    h("div", { class: "field" }, h("span", {}, "Blocks"), blocks.node),
    list,
    number("start", { least: 0, most: 1 }),
    number("end", { least: 0, most: 1 }),
  );
}
