// @ts-check
// Buttons that cannot be used now and say why: they keep the focus, and a press tells the reason.
import { toast } from "./toast.js";

/** @type {WeakMap<HTMLElement, {reason: string | null, title: string}>} */
const known = new WeakMap();

/**
 * Make a button unavailable for a reason, one sentence; null makes it available.
 *
 * @param {any} button
 * @param {string | null} reason
 */
export function setUnavailable(button, reason) {
  const state = known.get(button) ?? { reason: null, title: button.title };
  if (!known.has(button)) {
    known.set(button, state);
    const refuse = (event) => {
      if (!state.reason) return;
      event.stopImmediatePropagation();
      toast(state.reason);
    };
    button.addEventListener("click", refuse, true);
  }
  state.reason = reason;
  button.title = reason ?? state.title;
  if (reason) button.setAttribute("aria-disabled", "true");
  else button.removeAttribute("aria-disabled");
}

/** The button's own title, also while a reason stands in its place. */
export const ownTitle = (button) => known.get(button)?.title ?? button.title;
