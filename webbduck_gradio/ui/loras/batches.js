// @ts-check
// Long lists of cards: only the first are in the page, and more are added when their place comes near.
import { button, setText } from "../shared/dom.js";

const BATCH = 120;
const NEAR = "1200px";

/** @param {() => void} changed called when more cards are to be shown */
export function makeBatches(changed) {
  let most = BATCH;
  let listed = "";
  const add = () => {
    most += BATCH;
    changed();
    // It tells of changes alone, so ask anew: in a large window the button can still be near.
    observer.unobserve(more);
    observer.observe(more);
  };
  const more = button("", add, { class: "more-cards" });
  const observer = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && add(), {
    rootMargin: NEAR,
  });
  observer.observe(more);

  return {
    /**
     * Those of `found` that are shown.
     *
     * @param {any[]} found
     * @param {string} list tells one list from another, which is shown from its beginning
     */
    part(found, list) {
      if (list !== listed) most = BATCH;
      listed = list;
      setText(more, `Show more (${(found.length - most).toLocaleString("en")})`);
      return found.slice(0, most);
    },

    /** The button behind the cards that are shown of `found`; null where these are all. */
    more: (found) => (found.length > most ? more : null),
  };
}
