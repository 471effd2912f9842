// What is searched for is one line of text; the filter row reads and writes its terms.
const { h, put, bytes } = webbduck;
const thumbOf = (image) => `${webbduck.thumbUrl(image.id)}?v=${image.v ?? 0}`;
const imageOf = (image) => `${webbduck.imageUrl(image.id)}?v=${image.v ?? 0}`;
/**
 * Why nothing of the picture can be shown; null where it can. A browser would try, even with one that fills
 * its memory.
 */
const unreadable = (image) => (image.problem && !image.w ? image.problem : null);
const number = (value) => value.toLocaleString("en-US");
const many = (count, one, more = `${one}s`) => `${number(count)} ${count === 1 ? one : more}`;

const ICONS = {
  heart: "M12 20s-7-4.4-7-9.5A4 4 0 0 1 12 8a4 4 0 0 1 7 2.500C19 15.600 12 20 12 20z",
  close: "M6 6l12 12M18 6L6 18",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  tick: "M5 12.500l4.500 4.500L19 7.500",
  trash: "M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12M10 10.500v6M14 10.500v6",
  download: "M12 4v11M7.500 11l4.500 4.500L16.500 11M5 19.500h14",
  copy: "M9 9h10v10H9zM15 9V5H5v10h4",
  full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  compare: "M12 4v16M4 6h6v12H4M20 6h-6v12h6",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  info: "M12 3.500a8.500 8.500 0 1 0 0 17a8.500 8.500 0 0 0 0-17zM12 11v5M12 7.600v.2",
  more: "M6 12h.1M12 12h.1M18 12h.1",
};
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS(svg.namespaceURI, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
/** A button with an icon; its title is its name. */
const iconButton = (name, title, action, more = {}) =>
  h(
    "button",
    {
      type: "button",
      title,
      "aria-label": title,
      onclick: action,
      ...more,
      class: `g-icon ${more.class ?? ""}`,
    },
    icon(name),
  );

// Made anew for each use: a pattern that is looked for everywhere remembers where it was.
const TERM = () => /(-?)(?:([A-Za-z]+):(=?))?(?:"([^"]*)"?|(\S+))/g;
const termsOf = (text) =>
  [...text.matchAll(TERM())].map((found) => ({
    text: found[0],
    without: Boolean(found[1]),
    name: (found[2] ?? "").toLowerCase(),
    value: found[4] ?? found[5] ?? "",
  }));
const FAVOURITE = /^fav/i;
const quoted = (name) => `"${name.replaceAll('"', " ")}"`;
const day = (back = 0) => {
  const date = new Date();
  date.setDate(date.getDate() - back);
  const two = (value) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
};

/** The filter row: `read()` gives the text, `write(text)` takes the new one. */
function makeFilters(row, read, write) {
  const kinds = [
    ["is:txt2img", "Text to image"],
    ["is:img2img", "Image to image"],
    ["is:inpaint", "Inpainted"],
    ["is:twopass", "Two passes"],
    ["is:upscaled", "With an upscaled copy"],
    ["is:test", "Tests"],
    ["-tool:webbduck", "Made elsewhere"],
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
    (...names) =>
    (term) =>
      names.includes(term.name);
  const filters = [
    { key: "model", any: "Any checkpoint", owns: named("model", "checkpoint"), options: [] },
    { key: "lora", any: "Any LoRA", owns: named("lora", "loras"), options: [] },
    { key: "sampler", any: "Any sampler", owns: named("sampler", "scheduler"), options: [] },
    {
      key: "kind",
      any: "Any kind",
      owns: (term) => named("is", "kind", "tool")(term) && !FAVOURITE.test(term.value),
      options: kinds,
    },
    { key: "date", any: "Any date", owns: named("date"), options: dates() },
  ];
  const replace = (owns, expression) => {
    const kept = termsOf(read())
      .filter((term) => !owns(term))
      .map((term) => term.text);
    write([...kept, ...(expression ? [expression] : [])].join(" "));
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
    filter.select = h("select", {
      class: "g-filter",
      "aria-label": filter.any.replace("Any ", "Filter by "),
      onchange: (event) => {
        range.hidden = event.target.value !== "range";
        if (event.target.value === "range") return from.focus();
        replace(filter.owns, event.target.value);
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
        const owns = (term) => named("is", "kind")(term) && FAVOURITE.test(term.value);
        replace(owns, favourites.getAttribute("aria-pressed") === "true" ? null : "is:favourite");
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
    filters.map((filter) => filter.select),
    range,
    favourites,
    clear,
  );

  /** Show in the row what the text says. */
  function show() {
    const terms = termsOf(read());
    filters[4].options = dates();
    for (const filter of filters) {
      const own = terms.find(filter.owns);
      const known = filter.options.find(([expression]) => own?.text === expression);
      const typed = own && !known ? [[own.text, `${own.without ? "not " : ""}${own.value}`]] : [];
      put(
        filter.select,
        h("option", { value: "" }, filter.any),
        [...typed, ...filter.options].map(([value, text]) => h("option", { value }, text)),
        filter.key === "date" ? h("option", { value: "range" }, "From … to …") : null,
      );
      filter.select.value = own?.text ?? (filter.key === "date" && !range.hidden ? "range" : "");
      filter.select.classList.toggle("active", Boolean(own));
    }
    const marked = terms.some(
      (term) => named("is", "kind")(term) && !term.without && FAVOURITE.test(term.value),
    );
    favourites.setAttribute("aria-pressed", String(marked));
    clear.hidden = !terms.length;
  }

  /** Names that pictures were made with, with their numbers. */
  function offer(names) {
    for (const filter of filters.slice(0, 3)) {
      filter.options = (names[filter.key] ?? []).map(([name, count]) => [
        `${filter.key}:=${quoted(name)}`,
        `${name} (${number(count)})`,
      ]);
      filter.select.hidden = !filter.options.length;
    }
    show();
  }
  show();
  return { show, offer };
}
