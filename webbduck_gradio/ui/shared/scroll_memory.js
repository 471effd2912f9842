// @ts-check
// Where the page was scrolled to, kept over a reload in this window.
import { getStored, setStored, thisTab } from "./preferences.js";

/** @type {Map<string, () => any>} */
const readers = new Map();
const PATIENCE = 10000;

function keptOver() {
  const [navigation] = performance.getEntriesByType("navigation");
  if (/** @type {PerformanceNavigationTiming | undefined} */ (navigation)?.type === "navigate") return {};
  try {
    return JSON.parse(getStored("scroll", "{}", thisTab)) ?? {};
  } catch {
    return {};
  }
}
const kept = keptOver();

/** Keep what `read()` returns over a reload; returns what was kept by this name, once. */
export function keepOverReload(name, read) {
  readers.set(name, read);
  const value = kept[name] ?? null;
  delete kept[name];
  return value;
}

window.addEventListener("pagehide", () => {
  const places = [...readers].map(([name, read]) => [name, read()]);
  setStored("scroll", JSON.stringify(Object.fromEntries(places)), thisTab);
});

/** Scroll to where it was once there is that much to scroll, unless the user scrolls first. */
function restore(find, top) {
  if (!top) return;
  const until = performance.now() + PATIENCE;
  let isMoved = false;
  const stop = () => {
    isMoved = true;
  };
  const events = ["wheel", "touchstart", "keydown", "pointerdown"];
  for (const name of events) {
    window.addEventListener(name, stop, { once: true, capture: true, passive: true });
  }
  const look = () => {
    const node = find();
    if (isMoved || performance.now() > until) return;
    if (!node?.clientHeight || node.scrollHeight - node.clientHeight < top) requestAnimationFrame(look);
    else node.scrollTop = top;
  };
  look();
}

/** Keep the scroll place of what scrolls with the whole view: the window, and the Studio's settings. */
export function keepScrollPlaces() {
  const places = {
    window: () => document.scrollingElement,
    settings: () => document.querySelector("#settings"),
  };
  for (const [name, find] of Object.entries(places)) {
    restore(
      find,
      keepOverReload(name, () => find()?.scrollTop ?? 0),
    );
  }
}
