// @ts-check
// Buttons that are pressed before their script has come are pressed again once it has started. Not a module:
// it is inlined in the page's head, so that it hears the first press.
window.webbduckPressedEarly = (() => {
  /** Elements whose buttons have no script yet, and selectors of buttons that a module answers anywhere.
   * @type {Set<Element | string>} */
  const waiting = new Set([".fold-head", ".sheet-head", ".open-styles"]);
  /** @type {Map<HTMLButtonElement, Element | string>} */
  const pressed = new Map();
  const isOf = (owner, button) =>
    typeof owner === "string" ? button.matches(owner) : owner.contains(button);
  document.addEventListener(
    "click",
    ({ isTrusted, target }) => {
      const button = isTrusted && target instanceof Element && target.closest("button");
      const owner = button && [...waiting].find((each) => isOf(each, button));
      if (button && owner) pressed.set(button, owner); // pressed in vain several times, it is meant once
    },
    true,
  );
  return {
    wait: (owner) => void waiting.add(owner),
    /** Its script answers from now on. What was left since, as by opening another tab, is not pressed. */
    end(owner) {
      waiting.delete(owner);
      for (const [button, its] of pressed) {
        if (its !== owner) continue;
        pressed.delete(button);
        if (button.checkVisibility()) button.click();
      }
    },
  };
})();
