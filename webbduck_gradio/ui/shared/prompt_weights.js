// @ts-check
// Changes the weights of words in a prompt, in A1111's syntax: (words:1.1).

const WEIGHTED = /\(([^()]*?):\s*([+-]?[\d.]+)\s*\)/g;
const WORD = /[^\s,()[\]:]/;

/** The weighted bracket around a selection, or null. All offsets are indices into `text`. */
function bracketAround(text, start, end) {
  for (const found of text.matchAll(WEIGHTED)) {
    const left = found.index;
    const right = left + found[0].length;
    if (left <= start && end <= right) {
      return { from: left + 1, to: left + 1 + found[1].length, weight: Number(found[2]) || 0, left, right };
    }
  }
  return null;
}

/**
 * Replace the text from `left` to `right` with `written`; its words are then from `from` to `to`.
 *
 * @typedef {{left: number, right: number, written: string, from: number, to: number}} Change
 */

/**
 * Change the weight of the selected bracket, the selected words, or the word at the caret by `by`.
 *
 * @param {string} text
 * @param {number} start of the selection
 * @param {number} end
 * @param {number} by
 * @returns {Change | null} null if there are no words
 */
export function weighted(text, start, end, by) {
  const bracket = bracketAround(text, start, end);
  let [from, to, weight] = bracket ? [bracket.from, bracket.to, bracket.weight] : [start, end, 1];
  if (!bracket) {
    if (from === to) {
      while (from > 0 && WORD.test(text[from - 1])) from -= 1;
      while (to < text.length && WORD.test(text[to])) to += 1;
    }
    while (from < to && /\s/.test(text[from])) from += 1;
    while (to > from && /\s/.test(text[to - 1])) to -= 1;
    if (from === to) return null;
  }
  const { left, right } = bracket ?? { left: from, right: to };
  const words = text.slice(from, to);
  weight = Math.round((weight + by) * 100) / 100;
  const plain = weight === 1;
  const first = left + (plain ? 0 : 1);
  return {
    left,
    right,
    written: plain ? words : `(${words}:${weight})`,
    from: first,
    to: first + words.length,
  };
}
