// @ts-check
// The gallery's counts, and its message when there is nothing to show.
import { h, put } from "../shared/dom.js";
import { many } from "../shared/format.js";

/** Show the number of pictures, or why there are none. `showAll` clears the search. */
export function showCount({ countText, canvas, grid, asked, complete, leftOut, showAll }) {
  const pictures = grid.pictures;
  countText.textContent = grid.flat
    ? many(pictures, "picture")
    : `${many(pictures, "picture")} in ${many(grid.count, "run")}`;
  if (asked && !pictures) countText.textContent = "Nothing found";
  if (!complete) countText.textContent += pictures || asked ? ", still scanning the folders" : "";
  if (leftOut.length) {
    const names = leftOut.length === 1 ? "its name" : "their names";
    countText.textContent += `, ${leftOut.length} skipped because of ${names}`;
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
        ? "No pictures yet. Pictures generated in the Studio appear here."
        : "Scanning the folders.",
  );
}
