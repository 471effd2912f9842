// @ts-check
// The sides by which a picture is extended: an object in a request, its JSON text in the form.

/** @typedef {{left: number, right: number, top: number, bottom: number}} Sides */

/** @returns {Sides} */
export const none = () => ({ left: 0, right: 0, top: 0, bottom: 0 });

/**
 * @param {any} value of a request or of the form; empty = no sides
 * @returns {Sides}
 */
export function sidesOf(value) {
  try {
    return { ...none(), ...(typeof value === "string" ? JSON.parse(value || "{}") : value) };
  } catch {
    return none();
  }
}

/** Those that are extended, in words: "left 128, top 64". */
export const sidesText = (value) =>
  Object.entries(sidesOf(value))
    .filter(([, length]) => length)
    .map(([side, length]) => `${side} ${length}`)
    .join(", ");
