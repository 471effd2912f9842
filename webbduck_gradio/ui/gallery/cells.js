// @ts-check
// The grid's cells: a thumbnail with its marks, and the header of a run.
import { button, h } from "../shared/dom.js";
import { bytes, day, many, number } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { countVariants } from "../shared/variants.js";
import { thumbOf, unreadable } from "./images.js";
import { isByTime } from "./toolbar.js";
import { NARROWEST, WIDEST } from "./rows_layout.js";

const MOST_LETTERS = 160;

/** Whether the picture is narrower or wider than any cell. */
function isExtreme({ w, h: high }) {
  const shape = (1000 * w) / high; // NaN where it is not known
  return shape < NARROWEST || shape > WIDEST;
}

/** What a run is called: its prompt, or its folder where it has no record. */
const labelOf = (run) =>
  run.prompt === null ? run.run || "Pictures without a run" : run.prompt || "(no prompt)";

/** "A duck on a pond, picture 2 of 4, seed 5": what tells a picture from the others when it is read aloud. */
function spokenName(image, run, index) {
  const label = run ? labelOf(run) : image.prompt || image.id;
  return [
    label.length > MOST_LETTERS ? `${label.slice(0, MOST_LETTERS)}…` : label,
    run && run.images.length > 1 ? `picture ${index + 1} of ${run.images.length}` : "",
    Number.isInteger(image.seed) ? `seed ${image.seed}` : "",
    image.favourite ? "favourite" : "",
  ]
    .filter(Boolean)
    .join(", ");
}

/** `actions`: press, tick, listen, mark, add, removeRun; `order()` is the name of the sort order. */
export function makeCells({ order, actions }) {
  /** `run` and `index`: the run that the image is shown in, and its place there. */
  function cell(image, run = null, index = 0) {
    const name = image.id.split("/").at(-1);
    const spoken = spokenName(image, run, index);
    const picture = unreadable(image)
      ? h("span", { class: "broken" }, image.problem)
      : h("img", {
          "data-src": thumbOf(image),
          alt: "",
          decoding: "async",
          draggable: "false",
          class: isExtreme(image) ? "extreme" : null,
          onload: (event) => event.target.classList.add("there"),
          onerror: (event) =>
            event.target.replaceWith(
              h("span", { class: "broken" }, image.problem ?? "No thumbnail could be created."),
            ),
        });
    const node = h(
      "div",
      { class: "cell", "data-id": image.id },
      h(
        "button",
        {
          type: "button",
          class: "open",
          title: [
            name,
            image.seed === undefined ? "" : `seed ${image.seed}`,
            image.w ? `${image.w} × ${image.h} px` : "",
            bytes(image.bytes),
          ]
            .filter(Boolean)
            .join(", "),
          "aria-label": `Open: ${spoken}`,
          onclick: (event) => actions.press(event, image, node),
        },
        picture,
      ),
      h(
        "button",
        {
          type: "button",
          class: "tick",
          role: "checkbox",
          "aria-checked": "false",
          "aria-label": `Select: ${spoken}`,
          onclick: (event) => actions.tick(event, image.id),
        },
        icon("tick"),
      ),
      h(
        "span",
        { class: "cell-acts" },
        unreadable(image)
          ? null
          : button("Use", () => actions.use(image.id), {
              class: "use",
              title: "Load all settings into the Studio, seed included",
              "aria-label": `Use the settings: ${spoken}`,
            }),
        h(
          "button",
          {
            type: "button",
            class: "heart",
            title: "Favourite",
            "aria-label": `Favourite: ${spoken}`,
            "aria-pressed": String(Boolean(image.favourite)),
            onclick: () => actions.favour(image.id, !image.favourite),
          },
          icon("heart"),
        ),
      ),
      image.variants
        ? h(
            "span",
            { class: "marks", title: countVariants(image.variants) },
            h("span", {}, `+${image.variants.length}`),
          )
        : null,
    );
    actions.listen(node, image.id);
    actions.mark(node);
    return node;
  }

  function head(run) {
    const when = new Date(run.created * 1000);
    const shown = run.images.length;
    const label = labelOf(run);
    const facts = [
      when.toLocaleString(),
      label,
      ...run.facts,
      run.total > shown ? `${shown} of ${many(run.total, "picture")}` : "",
    ]
      .filter(Boolean)
      .join("\n");
    return h(
      "header",
      { class: "g-head", title: facts },
      h("time", { datetime: when.toISOString() }, clock(when)),
      sortValue(run.images, run.facts[0])
        ? h("span", { class: "g-by" }, sortValue(run.images, run.facts[0]))
        : null,
      h("span", { class: "prompt" }, label),
      run.problem ? h("span", { class: "problem", title: run.problem }, "metadata unreadable") : null,
      run.total > shown ? h("span", { class: "muted" }, `${shown} of ${number(run.total)}`) : null,
      h(
        "span",
        { class: "g-head-acts" },
        h(
          "button",
          {
            type: "button",
            title: "Select these pictures",
            "aria-label": "Select these pictures",
            onclick: () => actions.add(run.images.map((image) => image.id)),
          },
          icon("tick"),
        ),
        run.run
          ? h(
              "button",
              {
                type: "button",
                title: `Delete the run${run.total > shown ? `, all ${number(run.total)} pictures` : ""}`,
                "aria-label": "Delete this run",
                onclick: () => actions.removeRun(run.run),
              },
              icon("trash"),
            )
          : null,
      ),
    );
  }
  /** The value that these pictures are sorted by, unless it is the time or the prompt. */
  function sortValue(images, checkpoint) {
    if (order() === "checkpoint") return checkpoint ?? "";
    if (order() === "file_size") return bytes(Math.max(0, ...images.map((image) => image.bytes)));
    if (order() !== "picture_size") return "";
    const largest = images.filter((image) => image.w).sort((a, b) => b.w * b.h - a.w * a.h)[0];
    return largest ? `${largest.w} × ${largest.h}` : "";
  }
  /** "14:05" below the heading of its day, else with the date. */
  function clock(when) {
    const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    if (isByTime(order()) || day(0, when) === day()) return time;
    return when.toLocaleDateString([], {
      day: "numeric",
      month: "short",
      ...(when.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" }),
    });
  }

  return { cell, head, labelOf };
}
