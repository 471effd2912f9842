// @ts-check
// The control of a setting with a list of values (studio/controls.py).
import { last, subscribe } from "../shared/bus.js";
import { makeCombobox } from "../shared/combobox.js";
import { button, h, put } from "../shared/dom.js";
import { keepForUndo } from "./settings_menu.js";
import { showCheckpoints } from "./show_checkpoints.js";

const allCheckpoints = () => button("All checkpoints", showCheckpoints, { class: "all-checkpoints" });

/** @param {GradioView} view */
export default function start({ element, props, trigger, watch }) {
  const place = element.querySelector(".combobox-place");
  const { field, label } = place.dataset;
  const name = h("span", { class: "combobox-label", "data-testid": "block-info" }, label);
  const box = makeCombobox({
    label,
    choices: props.choices,
    value: props.value,
    onchange(value) {
      // A checkpoint brings settings of its own; what the form held can be had back.
      if (field === "base_model") keepForUndo();
      props.value = value;
      trigger("input");
    },
  });
  name.addEventListener("click", () => box.input.focus());
  put(place, field === "base_model" ? allCheckpoints() : null, name, box.node);
  watch(["value", "choices"], () => {
    box.setChoices(props.choices);
    box.value = props.value;
  });
  // Other tabs choose models here.
  subscribe("use-model", (wanted) => {
    if (wanted?.field !== field) return;
    last.delete("use-model");
    box.choose(wanted.name);
  });
}
