// @ts-check
// The gallery's line of numbers.
import { h, put } from "../shared/dom.js";
import { many } from "../shared/format.js";

/** How much is shown, and why where that is nothing. `showAll` empties the search. */
export function showCount({ countText, canvas, grid, asked, complete, leftOut, showAll }) {
  const pictures = grid.pictures;
  countText.textContent = grid.flat
    ? many(pictures, "picture")
    : `${many(pictures, "picture")} in ${many(grid.count, "run")}`;
  if (asked && !pictures) countText.textContent = "Nothing found";
  if (!complete) countText.textContent += pictures || asked ? ", still looking through the folders" : "";
  if (leftOut.length) {
    const names = leftOut.length === 1 ? "its name" : "their names";
    countText.textContent += `, ${leftOut.length} left out because of ${names}`;
  }
  countText.title = leftOut.length ? `Rename to show: ${leftOut.join(", ")}` : "";
  let note = canvas.querySelector(".g-nothing");
  if (pictures) return note?.remove();
  note ??= canvas.appendChild(h("div", { class: "g-nothing nothing" }));
  put(
    note,
    asked
      ? [
          "Nothing matches this search.",
          h("button", { type: "button", class: "g-act", onclick: showAll }, "Show all pictures"),
        ]
      : complete
        ? "No pictures yet. What you generate in the Studio is kept here."
        : "Looking through the folders.",
  );
}
