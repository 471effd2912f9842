// @ts-check
// What one part of the page tells the others. A channel remembers its last value for those that come later.

/** The last value of each channel. */
export const last = new Map();
const subscribers = new Map();

/** Tell the subscribers of a channel, and those that come later. */
export function publish(channel, value) {
  last.set(channel, value);
  for (const tell of subscribers.get(channel) ?? []) tell(value);
}

/** Call `tell` now, where there is something already, and with everything that comes. */
export function subscribe(channel, tell) {
  if (!subscribers.has(channel)) subscribers.set(channel, new Set());
  subscribers.get(channel).add(tell);
  if (last.has(channel)) tell(last.get(channel));
}
