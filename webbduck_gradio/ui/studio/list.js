// @ts-check
// The control of a setting with a list of values (studio/controls.py).
import { h, put } from "../shared/dom.js";
import { makeCombobox } from "../shared/combobox.js";
import { keepForUndo } from "./settings_menu.js";

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
  put(place, name, box.node);
  watch(["value", "choices"], () => {
    box.setChoices(props.choices);
    box.value = props.value;
  });
}
