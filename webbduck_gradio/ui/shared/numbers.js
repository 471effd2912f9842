// @ts-check
// Parses typed numbers, with a decimal point or comma, in the same way in every browser and language.
// tests/rules/numbers.json verifies that this agrees with ui/shared/numbers.py.

const LONGEST = 40;
const PLAIN = /^[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)$/;
const WHOLE = /^[+-]?[0-9]+$/;
const THOUSANDS = /^[+-]?[1-9][0-9]{0,2},[0-9]{3}$/;

const shortened = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text);

/**
 * Parse a text: {value} (null if it is empty), or {problem}, the end of an error message.
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

/** Turn a text input into a number input: keyboard type on a phone, and arrow keys. */
export function numberField(input, { step = 1, least = -Infinity, most = Infinity, whole = false } = {}) {
  // The numeric keyboards of phones lack the minus key.
  input.inputMode = least < 0 ? "text" : whole ? "numeric" : "decimal";
  input.autocomplete = "off";
  input.spellcheck = false;
  input.addEventListener("keydown", (event) => {
    const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!direction || event.ctrlKey || event.metaKey || event.altKey) return;
    const { value, problem } = readNumber(input.value, whole);
    event.preventDefault();
    if (problem) return;
    const next = Math.round(((value ?? 0) + direction * step * (event.shiftKey ? 10 : 1)) * 1e6) / 1e6;
    // A typed value outside the range can move back towards it; arrow keys never leave the range.
    const bound =
      direction > 0
        ? Math.min(next, Math.max(most, value ?? most))
        : Math.max(next, Math.min(least, value ?? least));
    input.value = String(bound);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
  return input;
}
