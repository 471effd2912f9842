// @ts-check
// The gallery's filter row, which reads and writes the terms of the search text.
import { makeCombobox } from "../shared/combobox.js";
import { h, put } from "../shared/dom.js";
import { day, number } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { columnOf, isFavourite, quoted, replaceTerm, termsOf } from "./search_terms.js";

/**
 * `read()` returns the search text, `write(text)` replaces it, `counted(n)` gets how many are active.
 */
export function makeFilters(row, read, write, counted) {
  const kinds = [
    ["is:txt2img", "Text to image"],
    ["is:img2img", "Image to image"],
    ["is:inpaint", "Inpainted"],
    ["is:twopass", "Two passes"],
    ["is:upscaled", "Upscaled"],
    ["is:test", "Tests"],
    ["-tool:webbduck", "Other programs"],
  ];
  const dates = () => [
    ["date:today", "Today"],
    ["date:yesterday", "Yesterday"],
    [`date:>=${day(6)}`, "Last 7 days"],
    [`date:>=${day(29)}`, "Last 30 days"],
    [`date:${day().slice(0, 7)}`, "This month"],
    [`date:${day().slice(0, 4)}`, "This year"],
  ];
  const named =
    (...columns) =>
    (term) =>
      columns.includes(columnOf(term));
  const filters = [
    { key: "model", any: "Any checkpoint", owns: named("model"), options: [] },
    { key: "lora", any: "Any LoRA", owns: named("lora"), options: [] },
    { key: "sampler", any: "Any sampler", owns: named("sampler"), options: [] },
    {
      key: "kind",
      any: "Any kind",
      owns: (term) => named("kind", "tool")(term) && !isFavourite(term),
      options: kinds,
    },
    { key: "date", any: "Any date", owns: named("date"), options: dates() },
  ];
  const replace = (owns, expression) => {
    write(replaceTerm(read(), owns, expression));
  };
  const from = h("input", { type: "date", "aria-label": "From" });
  const to = h("input", { type: "date", "aria-label": "To" });
  const range = h("span", { class: "g-range", hidden: true }, from, "to", to);
  for (const each of [from, to]) {
    each.onchange = () => {
      if (from.value || to.value) replace(filters[4].owns, `date:${from.value}..${to.value}`);
    };
  }
  for (const filter of filters) {
    filter.list = makeCombobox({
      className: "g-filter",
      label: filter.any.replace("Any ", "Filter by "),
      onchange: (value) => {
        range.hidden = value !== "range";
        if (value === "range") return from.focus();
        replace(filter.owns, value);
      },
    });
  }
  const favourites = h(
    "button",
    {
      type: "button",
      class: "g-filter g-favourites",
      "aria-pressed": "false",
      onclick: () => {
        replace(isFavourite, favourites.getAttribute("aria-pressed") === "true" ? null : "is:favourite");
      },
    },
    icon("heart"),
    "Favourites",
  );
  const clear = h(
    "button",
    {
      type: "button",
      class: "g-clear",
      hidden: true,
      onclick: () => {
        range.hidden = true;
        write("");
      },
    },
    "Clear",
  );
  put(
    row,
    filters.map((filter) => filter.list.node),
    range,
    favourites,
    clear,
  );

  /** Make the controls match the search text. */
  function show() {
    const terms = termsOf(read());
    filters[4].options = dates();
    for (const filter of filters) {
      const own = terms.find(filter.owns);
      const known = filter.options.find(([expression]) => own?.text === expression);
      const typed = own && !known ? [[own.text, `${own.without ? "not " : ""}${own.value}`]] : [];
      const more = filter.key === "date" ? [["range", "From … to …"]] : [];
      filter.list.value = own?.text ?? (filter.key === "date" && !range.hidden ? "range" : "");
      filter.list.setChoices(
        [["", filter.any], ...typed, ...filter.options, ...more].map(([value, label]) => ({ value, label })),
      );
      filter.list.node.classList.toggle("active", Boolean(own));
    }
    const marked = terms.some((term) => isFavourite(term) && !term.without);
    favourites.setAttribute("aria-pressed", String(marked));
    clear.hidden = !terms.length;
    counted(Number(marked) + filters.filter(({ owns }) => terms.some(owns)).length);
  }

  /** Set the names to offer: {model: [[name, count], ...], lora, sampler}. */
  function suggest(names) {
    for (const filter of filters.slice(0, 3)) {
      filter.options = (names[filter.key] ?? []).map(([name, count]) => [
        `${filter.key}:=${quoted(name)}`,
        `${name} (${number(count)})`,
      ]);
      filter.list.node.hidden = !filter.options.length;
    }
    show();
  }
  show();
  return { show, suggest };
}
