// @ts-check
// What styles make of a prompt, as models/styles.py, and finding them in the list.

const PLACE = "{prompt}";

/** The prompt with a style's text around it. */
export const merged = (text, prompt) =>
  text.includes(PLACE)
    ? text.replaceAll(PLACE, () => prompt)
    : [prompt.trim(), text.trim()].filter(Boolean).join(", ");

/**
 * The prompts with the styles' texts in turn.
 *
 * @param {{prompt: string, negative_prompt: string}[]} styles
 * @param {{prompt: string, negative_prompt: string}} prompts
 */
export const applied = (styles, { prompt, negative_prompt }) => ({
  prompt: styles.reduce((text, style) => merged(style.prompt, text), prompt),
  negative_prompt: styles.reduce((text, style) => merged(style.negative_prompt, text), negative_prompt),
});

/** Styles that hold each word in name, group or texts; those that hold all in the name come first. */
export function search(styles, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return styles;
  const holds = (text) => words.every((word) => text.includes(word));
  const found = styles.filter((each) =>
    holds(`${each.name} ${each.group} ${each.prompt} ${each.negative_prompt}`.toLowerCase()),
  );
  const named = (each) => holds(each.name.toLowerCase());
  return [...found.filter(named), ...found.filter((each) => !named(each))];
}

/** Whether a chosen style has texts that a picture recorded. */
export const isRecorded = (chosen) => chosen.prompt !== undefined || chosen.negative_prompt !== undefined;

/**
 * How a chosen style stands to the list: "" if it is there as it is, "gone" or "changed" where a picture
 * recorded other texts, "missing" where there are none to use.
 *
 * @param {Record<string, string>} chosen
 * @param {Record<string, string> | undefined} known
 */
export function stateOf(chosen, known) {
  if (!known) return isRecorded(chosen) ? "gone" : "missing";
  if (!isRecorded(chosen)) return "";
  const isSame =
    (chosen.prompt ?? "") === known.prompt && (chosen.negative_prompt ?? "") === known.negative_prompt;
  return isSame ? "" : "changed";
}
