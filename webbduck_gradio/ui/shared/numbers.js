// @ts-check
// Numbers as people type them, with a point or a comma, alike in every browser and language
// (see ui/shared/numbers.py; tests/rules/numbers.json holds the two together).

const LONGEST = 40;
const PLAIN = /^[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)$/;
const WHOLE = /^[+-]?[0-9]+$/;
const THOUSANDS = /^[+-]?[1-9][0-9]{0,2},[0-9]{3}$/;

const shortened = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text);

/**
 * What a text says: {value}, null where it is empty, or {problem}, the end of a sentence.
 *
 * @param {any} typed
 * @param {boolean} [whole]
 * @returns {{value?: any, problem?: string}}
 */
export function readNumber(typed, whole = false) {
  if (typeof typed !== "string") return { value: typed };
  const text = typed.trim();
  if (!text) return { value: null };
  if (text.length > LONGEST || !PLAIN.test(text)) {
    return { problem: `must be a ${whole ? "whole " : ""}number, not ${shortened(text)}` };
  }
  if (whole) {
    return WHOLE.test(text)
      ? { value: Number(text) }
      : { problem: `must be a whole number without point or comma, not ${text}` };
  }
  if (THOUSANDS.test(text)) {
    return {
      problem:
        `can mean ${text.replace(",", ".")} or ${text.replace(",", "")} as ${text}; ` +
        "write it without the comma",
    };
  }
  return { value: Number(text.replace(",", ".")) };
}

/** Make a field of text one for numbers: its keys on a phone, and the arrow keys. */
export function numberField(input, { step = 1, least = -Infinity, most = Infinity, whole = false } = {}) {
  // A phone's keys for numbers lack the minus.
  input.inputMode = least < 0 ? "text" : whole ? "numeric" : "decimal";
  input.autocomplete = "off";
  input.spellcheck = false;
  input.addEventListener("keydown", (event) => {
    const way = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
    const { value, problem } = readNumber(input.value, whole);
    event.preventDefault();
    if (problem) return;
    const next = Math.round(((value ?? 0) + way * step * (event.shiftKey ? 10 : 1)) * 1e6) / 1e6;
    // What was typed beyond the range may come back into it; no key leads out of it.
    const bound =
      way > 0
        ? Math.min(next, Math.max(most, value ?? most))
        : Math.max(next, Math.min(least, value ?? least));
    input.value = String(bound);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
  return input;
}
