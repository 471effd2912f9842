// @ts-check
// Publish and subscribe between the parts of the page. A channel keeps its last value for later subscribers.

/** The last value of each channel. */
export const last = new Map();
const subscribers = new Map();

/** Pass a value to the subscribers of a channel, and keep it for later ones. */
export function publish(channel, value) {
  last.set(channel, value);
  for (const callback of subscribers.get(channel) ?? []) callback(value);
}

/** Call `callback` with the channel's last value, if there is one, and with every new one. */
export function subscribe(channel, callback) {
  if (!subscribers.has(channel)) subscribers.set(channel, new Set());
  subscribers.get(channel).add(callback);
  if (last.has(channel)) callback(last.get(channel));
}
