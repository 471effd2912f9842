// @ts-check
// Calls of server functions; every failure becomes {error: message}.
import { toast } from "./toast.js";

export const NO_ANSWER = "The server did not answer.";

/**
 * Call a server function. {error, lost: true} if the server does not answer.
 *
 * @param {() => Promise<any>} call
 * @param {string} [message] the error if the server does not answer
 * @returns {Promise<any>}
 */
export async function callServer(call, message = NO_ANSWER) {
  try {
    return (await call()) ?? { error: message, lost: true };
  } catch {
    return { error: message, lost: true };
  }
}

/**
 * Call a server function and show its error as a toast; null after an error.
 *
 * @param {() => Promise<any>} call
 * @param {string} [message]
 * @returns {Promise<any>}
 */
export async function callOrToast(call, message = NO_ANSWER) {
  const found = await callServer(call, message);
  if (!found.error) return found;
  toast(found.error);
  return null;
}
