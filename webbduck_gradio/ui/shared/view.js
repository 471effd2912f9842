// @ts-check
// Starts the view of a component with what Gradio passes to its script.
import { unlessLost } from "./connection.js";

/**
 * @param {{default: (view: GradioView) => void}} module
 * @param {GradioView} view
 */
export function start(module, view) {
  module.default({ ...view, trigger: unlessLost(view.trigger) });
  window.webbduckPressedEarly.end(view.element);
}
