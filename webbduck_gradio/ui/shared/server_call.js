// @ts-check
// One way to ask the server: whatever goes wrong comes back as {error: a sentence}.
import { toast } from "./toast.js";

export const NO_ANSWER = "The server did not answer.";

/**
 * What the server answers; `lost` is set where it did not answer at all.
 *
 * @param {() => Promise<any>} call
 * @param {string} [sentence] said where the server does not answer
 * @returns {Promise<any>}
 */
export async function callServer(call, sentence = NO_ANSWER) {
  try {
    return (await call()) ?? { error: sentence, lost: true };
  } catch {
    return { error: sentence, lost: true };
  }
}

/**
 * The answer, or null after its error was shown.
 *
 * @param {() => Promise<any>} call
 * @param {string} [sentence]
 * @returns {Promise<any>}
 */
export async function callOrToast(call, sentence = NO_ANSWER) {
  const found = await callServer(call, sentence);
  if (!found.error) return found;
  toast(found.error);
  return null;
}
