// @ts-check
// Sends an order with given settings in place of the form's present ones.
import { subscribe } from "../shared/bus.js";

/** @type {GradioView["trigger"] | null} */
let send = null;
let sent = 0;
/** What waits for the outcome of an order, by the order's token. */
const waiting = new Map();

/**
 * Queue a job with these values of the form; the answer is the outcome (`notification` in
 * api/gradio_helpers.py).
 *
 * @param {"generate" | "test"} kind
 * @param {Record<string, any>} values
 * @returns {Promise<any>}
 */
export function submitValues(kind, values) {
  sent += 1;
  const token = `${Date.now()} ${sent}`;
  return new Promise((resolve) => {
    waiting.set(token, resolve);
    send?.("submit_values", { kind, values, token });
  });
}

/** @param {GradioView} view */
export default function start({ trigger }) {
  send = trigger;
  subscribe("outcome", (value) => {
    waiting.get(value.token)?.(value);
    waiting.delete(value.token);
  });
}
