// @ts-check
// A hidden component: publishes the JSON in its value on the channel named by its markup.
import { publish } from "./bus.js";

/** @param {GradioView} view */
export default function start({ element, props, watch }) {
  const name = element.querySelector("[data-channel]").dataset.channel;
  const publishValue = () => {
    if (props.value) publish(name, JSON.parse(props.value));
  };
  watch("value", publishValue);
  publishValue();
}
