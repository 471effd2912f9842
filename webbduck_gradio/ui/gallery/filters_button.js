// @ts-check
// The button that shows the filters where the bar has no room for them, with the number of active ones.

/** Connect the button and what it unfolds, both in `bar`. Returns a function that shows the number. */
export function makeFiltersButton(bar, signal) {
  const button = bar.querySelector(".g-more-filters");
  const panel = bar.querySelector(".g-filters");
  const isOpen = () => button.getAttribute("aria-expanded") === "true";
  function open(yes) {
    bar.classList.toggle("unfolded", yes);
    button.setAttribute("aria-expanded", String(yes));
  }
  button.onclick = () => open(!isOpen());
  document.addEventListener(
    "pointerdown",
    (event) => {
      if (isOpen() && !panel.contains(event.target) && !button.contains(event.target)) open(false);
    },
    { signal },
  );
  bar.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || !isOpen()) return;
      event.stopPropagation();
      const hadFocus = panel.contains(document.activeElement);
      open(false);
      if (hadFocus) button.focus();
    },
    true,
  );
  return (count) => {
    button.querySelector("b").textContent = count ? String(count) : "";
    button.setAttribute("aria-label", count ? `Filters, ${count} active` : "Filters");
  };
}
