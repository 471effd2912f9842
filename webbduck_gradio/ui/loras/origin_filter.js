// @ts-check
// The filters by where models lie: in the studio's own folders or in those of other programs, whose models
// that cannot be used here are shown only when they are asked for.
import { makeCombobox } from "../shared/combobox.js";
import { button, setHidden, setText } from "../shared/dom.js";

const ALL = "all";
const OWN = "own";
const LABELLED = "of:";

/**
 * The list of origins, `node`, and the button `too`.
 *
 * @param {() => void} changed called when something else is to be shown
 */
export function makeOriginFilter(changed) {
  const box = makeCombobox({ label: "Where it lies", value: ALL, onchange: changed });
  const too = button("", () => {
    too.setAttribute("aria-pressed", String(!isPressed()));
    changed();
  });
  too.className = "unusable-too";
  too.setAttribute("aria-pressed", "false");
  const isPressed = () => too.getAttribute("aria-pressed") === "true";

  const isFrom = ({ origin = "" }) =>
    box.value === ALL || (box.value === OWN ? !origin : origin === box.value.slice(LABELLED.length));

  return {
    node: box.node,
    too,

    /** Offer the origins of these models; the list is hidden where all are the studio's own. */
    offer(models) {
      const origins = [...new Set(models.map(({ origin }) => origin).filter(Boolean))].sort();
      const choices = [
        { value: ALL, label: "All folders" },
        { value: OWN, label: "Own folders" },
        ...origins.map((origin) => ({ value: LABELLED + origin, label: origin })),
      ];
      if (!choices.some(({ value }) => value === box.value)) box.value = ALL;
      box.setChoices(choices);
      setHidden(box.node, !origins.length);
    },

    /**
     * Those of the chosen origin. Other programs' models that cannot be used come last, and only while the
     * button is pressed, which says how many there are.
     *
     * @param {any[]} models
     * @param {(model: any) => string | null} why the reason why one cannot be used, or null
     */
    shown(models, why) {
      const found = models.filter(isFrom);
      const unusable = new Set(found.filter((each) => each.origin && why(each)));
      setText(too, `Not usable here (${unusable.size.toLocaleString("en")})`);
      setHidden(too, !unusable.size);
      const usable = found.filter((each) => !unusable.has(each));
      return isPressed() ? [...usable, ...unusable] : usable;
    },

    /** Tells what is chosen from other choices. */
    state: () => `${isPressed()} ${box.value}`,

    /** What is said in place of a list without models: the button has them. "" where it has none. */
    noneUsable: () => (too.hidden ? "" : `None of these can be used here. “${too.textContent}” shows them.`),
  };
}
