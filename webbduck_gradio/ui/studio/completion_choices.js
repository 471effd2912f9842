// @ts-check
// Which words this browser completes while they are typed.
import { getPref, setPref } from "../shared/preferences.js";

/** @typedef {"lora" | "embedding" | "wildcard" | "style" | "tag"} Kind */

const USUAL = {
  on: true,
  lora: true,
  embedding: true,
  wildcard: true,
  style: true,
  tag: true,
  /** Whether tags keep their underscores. */
  underscores: false,
};

/** @returns {typeof USUAL} */
export const completionChoices = () => ({ ...USUAL, ...getPref("completion", {}) });

/**
 * @param {keyof typeof USUAL} name
 * @param {boolean} on
 */
export const chooseCompletion = (name, on) => setPref("completion", { ...completionChoices(), [name]: on });

/** @param {Kind} kind */
export function isCompleted(kind) {
  const choices = completionChoices();
  return choices.on && choices[kind];
}
