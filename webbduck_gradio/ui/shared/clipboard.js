// @ts-check
import { put } from "./dom.js";

/** Show something in a button's place for a moment. */
export function flash(button, shown, milliseconds = 1200) {
  const before = [...button.childNodes];
  put(button, shown);
  setTimeout(() => put(button, before), milliseconds);
}

/**
 * Copy a text and say so in the button; where the browser refuses, offer it for copying by hand.
 *
 * @param {string} text
 * @param {HTMLElement} button
 * @param {string | Node} [shown]
 */
export async function copyText(text, button, shown = "Copied") {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    window.prompt("Copy this:", text);
    return;
  }
  flash(button, shown);
}
