// @ts-check
// What is typed before the page's modules have come and its values are set, which would replace it. Not a
// module: it is inlined in the page's head, so that it hears the first key.
window.webbduckTypedEarly = (() => {
  /** @type {Map<EventTarget | null, string>} */
  let typed = new Map();
  const note = ({ isTrusted, target }) => {
    if (isTrusted && "value" in target) typed.set(target, target.value);
  };
  document.addEventListener("input", note, true);
  return {
    /** The texts by field; nothing is noted from now on. */
    end() {
      document.removeEventListener("input", note, true);
      const found = typed;
      typed = new Map();
      return found;
    },
  };
})();
