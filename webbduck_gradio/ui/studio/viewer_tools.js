// @ts-check
// Where the viewer's toolbar is: over the picture, where a pointer hovers; else beside it, with a word below
// each icon, and with the tools that have no room there in a menu.
import { h, listenerSignal, phone, touch } from "../shared/dom.js";
import { iconButton } from "../shared/icons.js";
import { menu } from "../shared/widgets.js";

/** The word below each tool's icon; part of its title, which is its name. */
const WORDS = {
  zoom: "Zoom",
  compare: "Compare",
  about: "Settings",
  inpaint: "Inpaint",
  input: "Use",
  upscale: "Upscale",
  hires: "Hires",
  seed: "Seed",
  favourite: "Favourite",
  download: "Download",
  delete: "Delete",
  more: "More",
};
/** Those that are always shown. viewer_tools.css shows the others where there is room for all. */
const FIRST = ["inpaint", "input", "upscale", "favourite"];

/**
 * Give the toolbar its words and its menu, and keep it over `frame` or in `row`, whichever the window needs.
 *
 * @param {any} tools
 * @param {{frame: any, row: any}} places
 */
export function placeTools(tools, { frame, row }) {
  const more = iconButton("more", "More", null, { class: "tool more" });
  tools.append(more);
  const toolOf = (name) => tools.querySelector(`.${name}`);
  for (const [name, word] of Object.entries(WORDS)) {
    toolOf(name).append(h("span", { class: "word", "aria-hidden": "true" }, word));
  }
  const rest = Object.keys(WORDS)
    .filter((name) => name !== "more" && !FIRST.includes(name))
    .map(toolOf);
  for (const tool of rest) tool.classList.add("rest");
  menu(more, "More", (close) =>
    rest.map((tool) =>
      h(
        "button",
        {
          type: "button",
          class: "menu-item with-icon",
          disabled: Boolean(tool.disabled),
          onclick: () => {
            close();
            tool.click();
          },
        },
        tool.querySelector("svg").cloneNode(true),
        tool.getAttribute("aria-pressed") === "true" ? `Stop: ${tool.title}` : tool.title,
      ),
    ),
  );

  function place() {
    const wanted = phone.matches || touch.matches ? row : frame;
    if (tools.parentNode !== wanted) wanted.append(tools);
  }
  const signal = listenerSignal("viewer");
  for (const query of [phone, touch]) query.addEventListener("change", place, { signal });
  place();
}
