// @ts-check
// A LoRA of the stack: whether it is on, its weight, and more of its settings.
import { h } from "../shared/dom.js";
import { numberField, readNumber } from "../shared/numbers.js";
import { moreFields } from "./lora_more.js";

/**
 * @param {any} item it is changed by what is set
 * @param {{grip: any, buttons: any}} order what moves and removes it
 * @param {string[]} presets names of the presets of block weights
 * @param {Set<string>} opened names of the LoRAs that show more of their settings
 * @param {() => void} changed
 */
export function makeRow(item, { grip, buttons }, presets, opened, changed) {
  const number = numberField(
    h("input", {
      type: "text",
      class: "typed-number",
      value: item.weight ?? "",
      "aria-label": `Weight of ${item.name}`,
    }),
    { step: 0.05, least: -2, most: 2 },
  );
  const slider = h("input", {
    type: "range",
    min: "-2",
    max: "2",
    step: "0.05",
    value: String(Number(item.weight) || 0),
    "aria-label": `Weight of ${item.name}, slider`,
  });
  const shade = () =>
    slider.style.setProperty("--at", `${(Math.min(2, Math.max(-2, Number(item.weight) || 0)) + 2) * 25}%`);
  const weigh = (text, other) => {
    const { value, problem } = readNumber(text);
    item.weight = problem ? text : value; // invalid text stays, and the server refuses it
    if (other !== slider || typeof value === "number") {
      other.value = other === slider ? String(value) : text;
    }
    number.setAttribute(
      "aria-invalid",
      String(!(typeof item.weight === "number" && Math.abs(item.weight) <= 2)),
    );
    shade();
    changed();
  };
  number.oninput = () => weigh(number.value, slider);
  slider.oninput = () => weigh(slider.value, number);
  shade();
  return h(
    "li",
    { class: item.on ? "" : "disabled", "data-name": item.name },
    h(
      "div",
      { class: "draggable" },
      grip,
      h(
        "label",
        { class: "name" },
        h("input", {
          type: "checkbox",
          checked: item.on,
          "aria-label": `Use ${item.name}`,
          onchange: (event) => {
            item.on = event.target.checked;
            event.target.closest("li").classList.toggle("disabled", !item.on);
            changed();
          },
        }),
        h("span", { title: item.name }, item.name),
      ),
    ),
    buttons,
    slider,
    number,
    more(item, presets, opened, changed),
    h("p", { class: "hint" }),
  );
}

function more(item, presets, opened, changed) {
  const fields = moreFields(item, presets, changed);
  return h(
    "details",
    {
      class: "lora-more",
      open: opened.has(item.name),
      ontoggle: (event) => (event.target.open ? opened.add(item.name) : opened.delete(item.name)),
    },
    h("summary", { "aria-label": `More of ${item.name}` }, "More", h("span", { class: "more-summary" })),
    fields,
  );
}
