// @ts-check
import { put } from "./dom.js";

/** Replace a button's content for a moment. */
export function flash(button, shown, milliseconds = 1200) {
  const before = [...button.childNodes];
  put(button, shown);
  setTimeout(() => put(button, before), milliseconds);
}

/**
 * Copy a text and confirm it in the button; if the browser refuses, show the text for copying by hand.
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
