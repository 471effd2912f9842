// @ts-check
// A hidden component: the JSON that an event puts into it is published on the channel that it is named after.
import { publish } from "./bus.js";

/** @param {GradioView} view */
export default function start({ element, props, watch }) {
  const name = element.querySelector("[data-channel]").dataset.channel;
  const tell = () => {
    if (props.value) publish(name, JSON.parse(props.value));
  };
  watch("value", tell);
  tell();
}
