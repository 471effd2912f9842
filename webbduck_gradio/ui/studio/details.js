// @ts-check
// The detail passes: a card for each, with its detector and what the regions are drawn with.
import { publish, subscribe } from "../shared/bus.js";
import { makeCombobox } from "../shared/combobox.js";
import { button, h, put } from "../shared/dom.js";
import { numberField, readNumber } from "../shared/numbers.js";
import { bareName } from "../shared/origins.js";
import { toast } from "../shared/toast.js";
import { makeRegions } from "./detail_regions.js";
import * as form from "./form.js";
import { listIn, setValue, valueOf } from "./list_value.js";

/** @type {Record<string, any>} declarations of the fields of a pass, in their order */
const SETTINGS = webbduckFacts.detail_settings;
/** What a card shows at once; the rest is below "More". */
const FIRST = ["detector", "prompt", "strength", "confidence", "padding"];
const MORE = Object.keys(SETTINGS).filter((name) => !FIRST.includes(name));

/** @param {GradioView} view */
export default function start({ element, props, trigger, watch }) {
  const cards = h("ol", { class: "detail-cards" });
  const none = h("p", { class: "detail-none" });
  const add = button("Add a pass", () => insert(), { class: "add" });
  put(element.querySelector(".details"), none, cards, add);
  /** @type {Record<string, any>[]} the passes, with numbers as they were typed */
  let passes = [];
  /** Numbers of the passes whose further settings are shown. */
  const opened = new Set();
  let detectors = [];
  const regions = makeRegions({ detect: (asked) => trigger("detect", asked) });

  const usable = () => detectors.filter((each) => !each.reason);

  function save() {
    const value = valueOf(passes);
    publish("details", value);
    setValue({ props, trigger }, value);
  }

  function take(value) {
    const found = listIn(value);
    if (!found) return;
    passes = found.filter((each) => typeof each?.detector === "string").slice(0, props.most);
    draw();
    save();
  }

  function insert() {
    const unused = usable().filter((each) => !passes.some((other) => other.detector === each.name));
    const detector = (unused[0] ?? usable()[0])?.name ?? "";
    const usual = Object.entries(SETTINGS).map(([name, { default: value }]) => [
      name,
      Array.isArray(value) ? value.join(", ") : value,
    ]);
    passes.push({ ...Object.fromEntries(usual), detector });
    draw();
    save();
    cards.lastElementChild?.querySelector("input")?.focus();
  }

  function remove(place) {
    passes.splice(place, 1);
    opened.clear();
    draw();
    save();
    (cards.children[Math.min(place, passes.length - 1)]?.querySelector(".remove") ?? add).focus();
  }

  // -- controls ----------------------------------------------------------------------------------------

  /** Whether the pass's sampler, or else the picture's, supports a schedule. */
  const supports = (pass, schedule) =>
    webbduckFacts.schedules[pass.sampler || form.state().sampler]?.includes(schedule) ?? true;

  function listChoices(pass, name) {
    if (name === "schedule") {
      return Object.entries(SETTINGS.schedule.choices)
        .filter(([value]) => !value || supports(pass, value))
        .map(([value, label]) => ({ value, label }));
    }
    if (name !== "detector") {
      return Object.entries(SETTINGS[name].choices).map(([value, label]) => ({ value, label }));
    }
    return usable().map((each) => ({ value: each.name, label: bareName(each), origin: each.origin }));
  }

  function labelled(name, input, ...more) {
    const { label, unit, help } = SETTINGS[name];
    const text = unit ? `${label}, ${unit}` : label;
    return h("label", { class: `detail-field ${name}`, title: help }, h("span", {}, text), input, ...more);
  }

  function number(pass, name, place) {
    const { step, limits, has_slider, placeholder } = SETTINGS[name];
    const { least, above, most, whole } = limits;
    const lowest = least ?? above + step;
    const input = numberField(
      h("input", { type: "text", class: "typed-number", value: pass[name] ?? "", placeholder }),
      { step, least: lowest, most, whole: Boolean(whole) },
    );
    const range = has_slider
      ? h("input", {
          type: "range",
          min: String(Math.max(lowest, 0.05)),
          max: String(most),
          step: "0.05",
          value: String(Number(pass[name]) || 0),
          tabindex: "-1",
          "aria-hidden": "true",
        })
      : null;
    const taken = (text) => {
      const { value, problem } = readNumber(text, Boolean(whole));
      pass[name] = problem ? text : value; // what is no number stays, and the server refuses it
      const isWrong = problem || (value !== null && (value < lowest || value > most));
      input.setAttribute("aria-invalid", String(Boolean(isWrong)));
      if (name === "confidence") regions.forget(place);
      save();
    };
    input.oninput = () => {
      taken(input.value);
      if (range && typeof pass[name] === "number") range.value = String(pass[name]);
    };
    if (range) {
      range.oninput = () => {
        input.value = range.value;
        taken(range.value);
      };
    }
    return labelled(name, input, range);
  }

  function field(pass, name, place) {
    const { control, label, placeholder } = SETTINGS[name];
    if (control === "number") return number(pass, name, place);
    if (control === "text") {
      const attributes = { placeholder, value: pass[name] ?? "" };
      const input = name.endsWith("prompt")
        ? h("textarea", { rows: "2", ...attributes })
        : h("input", { type: "text", ...attributes });
      input.value = attributes.value;
      input.oninput = () => {
        pass[name] = input.value;
        save();
      };
      return labelled(name, input);
    }
    const box = makeCombobox({
      label,
      choices: listChoices(pass, name),
      value: pass[name] ?? "",
      onchange(value) {
        pass[name] = value;
        if (name === "sampler" && pass.schedule && !supports(pass, pass.schedule)) {
          const sampler = value || "The picture’s sampler";
          const now = SETTINGS.schedule.choices[""];
          toast(`${sampler} does not support the schedule ${pass.schedule}; it is now: ${now}.`);
          pass.schedule = "";
        }
        if (name === "detector" || name === "sampler") {
          const hadFocus = box.node.contains(document.activeElement);
          draw();
          if (hadFocus) cards.children[place].querySelector(`.detail-field.${name} input`).focus();
        }
        save();
      },
    });
    return h(
      "div",
      { class: `detail-field ${name}`, title: SETTINGS[name].help },
      h("span", { "aria-hidden": "true" }, label),
      box.node,
    );
  }

  function card(pass, place) {
    const title = `Pass ${place + 1}`;
    const known = detectors.find((each) => each.name === pass.detector);
    const finds = known?.reason ?? (known ? `Finds: ${shortened(known.classes)}.` : "");
    const gone = pass.detector && !known ? "No longer in checkpoint/detect." : "";
    const isOpen = opened.has(place);
    const more = h("div", { class: "detail-more", id: `detail-more-${place}`, hidden: !isOpen });
    put(more, isOpen ? MORE.map((name) => field(pass, name, place)) : []);
    const toggle = button(
      "More settings",
      () => {
        if (opened.has(place)) opened.delete(place);
        else opened.add(place);
        draw();
        cards.children[place].querySelector(".more-toggle").focus();
      },
      { class: "more-toggle", "aria-expanded": String(isOpen), "aria-controls": more.id },
    );
    const box = h("div", { class: "detail-regions" });
    const show = button("Show regions", () => regions.ask(place, pass, box), {
      class: "show-regions",
      title: "What the detector finds in the picture that is shown",
    });
    regions.place(place, pass, box);
    return h(
      "li",
      { class: known && !known.reason ? "" : "unusable", "aria-label": title },
      h(
        "header",
        {},
        h("b", {}, title),
        button("×", () => remove(place), {
          class: "remove",
          title: "Remove",
          "aria-label": `Remove pass ${place + 1}`,
        }),
      ),
      field(pass, "detector", place),
      h("p", { class: "hint" }, gone || finds),
      FIRST.slice(1).map((name) => field(pass, name, place)),
      h("div", { class: "detail-buttons" }, show, toggle),
      box,
      more,
    );
  }

  function draw() {
    put(cards, passes.map(card));
    const isEmpty = !usable().length;
    none.hidden = Boolean(passes.length) && !isEmpty;
    none.textContent = isEmpty
      ? "There is no detector. Put a YOLO v8 or v11 .onnx file into checkpoint/detect; " +
        "it appears here automatically."
      : "Finds regions of the finished picture, such as faces, and draws each again in detail.";
    add.hidden = passes.length >= props.most || isEmpty;
  }

  // -- updates -----------------------------------------------------------------------------------------

  watch("value", () => {
    if ((props.value ?? "") !== valueOf(passes)) take(props.value);
  });
  subscribe("catalog", (catalog) => {
    if (JSON.stringify(catalog.detectors) === JSON.stringify(detectors)) return;
    detectors = catalog.detectors;
    draw();
  });
  take(props.value);
}

const SHOWN = 6;
const shortened = (names) => names.slice(0, SHOWN).join(", ") + (names.length > SHOWN ? ", …" : "");
