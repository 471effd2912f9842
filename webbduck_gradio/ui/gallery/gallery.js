// @ts-check
// The Gallery tab put together: search and filters, the grid, what is chosen, the lightbox, the trash.
import { last, subscribe } from "../shared/bus.js";
import { h, home, put } from "../shared/dom.js";
import { bytes, day, many, number } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { getStored, setStored } from "../shared/preferences.js";
import { callServer } from "../shared/server_call.js";
import { openTab } from "../shared/tabs.js";
import { toast } from "../shared/toast.js";
import { IMAGES_A_PAGE, RUNS_A_PAGE, makeGrid } from "./grid.js";
import { thumbOf, unreadable } from "./images.js";
import { makeLightbox } from "./lightbox.js";
import { makeFilters } from "./query.js";
import { MAX_CHOSEN, createSelection } from "./selection.js";
import { makeTrash } from "./trash.js";

/** @param {GradioView} view */
export default function start({ element, trigger, server }) {
  const $ = (selector) => element.querySelector(selector);
  const query = $(".g-query");
  const problem = $(".g-problem");
  const scroller = $(".g-scroll");
  const canvas = $(".g-canvas");
  const countText = $(".g-count");
  // As gallery/index/sort.py names them.
  const ORDERS = [
    ["newest", "Newest first"],
    ["oldest", "Oldest first"],
    ["picture_size", "Largest picture"],
    ["file_size", "Largest file"],
    ["prompt", "Prompt A–Z"],
    ["checkpoint", "Checkpoint A–Z"],
  ];
  let flat = getStored("galleryView", "runs") === "single";
  let order = ORDERS.find(([name]) => name === getStored("galleryOrder"))?.[0] ?? "newest";
  let side = getStored("gallerySize", "middle");
  let version = null;
  let complete = true;
  let leftOut = [];
  let epoch = 0;
  let refreshing = false;
  let again = false;
  let started = false;

  const ask = (name, value) =>
    callServer(() => server[name](value), "The server did not answer; what is shown may be old.");
  const showError = (text) => {
    problem.textContent = text ?? "";
  };
  const currentQuery = () => ({ query: query.value.trim(), order, flat });

  // ---- the grid

  const grid = makeGrid(scroller, canvas, {
    ask: (start, limit) => ask("webbduck_list", { ...currentQuery(), start, limit }),
    draw: {
      cell,
      head,
      manner: () => order,
      blank: () => h("div", { class: "cell blank", "aria-hidden": "true" }),
    },
    failed: showError,
  });
  grid.resize(side);

  function cell(image) {
    const name = image.id.split("/").at(-1);
    const picture = unreadable(image)
      ? h("span", { class: "broken" }, image.problem)
      : h("img", {
          "data-src": thumbOf(image),
          alt: "",
          decoding: "async",
          draggable: "false",
          class: image.w ? (image.w > image.h ? "wide" : "tall") : null,
          style: image.w ? `aspect-ratio: ${image.w} / ${image.h}` : null,
          onload: (event) => event.target.classList.add("there"),
          onerror: (event) =>
            event.target.replaceWith(
              h("span", { class: "broken" }, image.problem ?? "No thumbnail could be made of it."),
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
          "aria-label": `Open ${image.id}`,
          onclick: (event) => press(event, image, node),
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
          "aria-label": `Choose ${image.id}`,
          onclick: (event) =>
            event.shiftKey && choice.anchor ? chooseTo(image.id) : choice.toggle(image.id),
        },
        icon("tick"),
      ),
      image.favourite || image.variants
        ? h(
            "span",
            { class: "marks" },
            image.favourite ? h("span", { class: "loved", title: "Favourite" }, icon("heart")) : null,
            image.variants
              ? h(
                  "span",
                  { title: many(image.variants.length, "upscaled copy", "upscaled copies") },
                  `+${image.variants.length}`,
                )
              : null,
          )
        : null,
    );
    choice.listen(node, image.id);
    choice.mark(node);
    return node;
  }

  function head(run) {
    const when = new Date(run.created * 1000);
    const shown = run.images.length;
    const label = run.prompt === null ? run.run || "Pictures beside the runs" : run.prompt || "(no prompt)";
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
      place(run.images, run.facts[0]) ? h("span", { class: "g-by" }, place(run.images, run.facts[0])) : null,
      h("span", { class: "prompt" }, label),
      run.problem ? h("span", { class: "problem", title: run.problem }, "record unreadable") : null,
      run.total > shown ? h("span", { class: "muted" }, `${shown} of ${number(run.total)}`) : null,
      h(
        "span",
        { class: "g-head-acts" },
        h(
          "button",
          {
            type: "button",
            title: "Choose these pictures",
            "aria-label": "Choose these pictures",
            onclick: () => choice.add(run.images.map((image) => image.id)),
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
                onclick: () => remove({ run: run.run }),
              },
              icon("trash"),
            )
          : null,
      ),
    );
  }
  /** What gives these pictures their place in the list, where that is not the time or the prompt. */
  function place(images, checkpoint) {
    if (order === "checkpoint") return checkpoint ?? "";
    if (order === "file_size") return bytes(Math.max(0, ...images.map((image) => image.bytes)));
    if (order !== "picture_size") return "";
    const largest = images.filter((image) => image.w).sort((a, b) => b.w * b.h - a.w * a.h)[0];
    return largest ? `${largest.w} × ${largest.h}` : "";
  }
  /** "14:05" today, "Mon 14:05" this week, the day of the year before that. */
  function clock(when) {
    const days = (new Date().setHours(0, 0, 0, 0) - new Date(when).setHours(0, 0, 0, 0)) / 86400000;
    const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    if (days < 1) return time;
    if (days < 6) return `${when.toLocaleDateString([], { weekday: "short" })} ${time}`;
    return when.toLocaleDateString([], {
      day: "numeric",
      month: "short",
      ...(when.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" }),
    });
  }

  function press(event, image, node) {
    if (node.dataset.held) {
      delete node.dataset.held;
      return;
    }
    if (event.shiftKey && choice.anchor) return chooseTo(image.id);
    if (
      event.ctrlKey ||
      event.metaKey ||
      event.shiftKey ||
      (choice.any && matchMedia("(hover: none)").matches)
    ) {
      return choice.toggle(image.id);
    }
    box.open(image);
  }

  /** All pictures between the one chosen last and this one, also those that are far out of view. */
  async function chooseTo(id) {
    const from = grid.find(choice.anchor);
    const to = grid.find(id);
    if (!from || !to) return choice.toggle(id);
    const [first, last] =
      from.index < to.index || (from.index === to.index && from.image <= to.image) ? [from, to] : [to, from];
    const ids = [];
    for (let index = first.index; index <= last.index && ids.length < MAX_CHOSEN; index += 1) {
      const found = await grid.load(index);
      if (!found) continue;
      const images = grid.flat ? [found] : found.images;
      images.forEach((image, each) => {
        if (
          !grid.flat &&
          ((index === first.index && each < first.image) || (index === last.index && each > last.image))
        ) {
          return;
        }
        ids.push(image.id);
      });
    }
    choice.add(ids);
  }

  // ---- what is chosen

  const toggled = async (ids, on) => {
    const done = await ask("webbduck_favourite", { ids, on });
    showError(done.error);
    if (!done.error) {
      toast(`${many(ids.length, "picture")} ${on ? "marked as" : "no longer"} favourite.`, () =>
        toggled(ids, !on),
      );
    }
  };
  const choice = createSelection(
    $(".g-chosen"),
    canvas,
    {
      compare: {
        text: "Compare",
        icon: "compare",
        title: "Compare the two",
        fits: (count) => count === 2,
        run: ([one, other]) => box.open({ id: one }, other),
      },
      export: {
        text: "Export zip",
        icon: "download",
        title: "One zip file with the pictures as they are, their upscaled copies and records",
        run: pack,
      },
      favour: {
        text: "Favourite",
        icon: "heart",
        title: "Mark as favourites",
        run: (ids) => toggled(ids, true),
      },
      delete: {
        text: "Delete",
        icon: "trash",
        title: "Move to the trash, with their upscaled copies",
        run: (ids) => remove({ ids, copies: true }),
      },
    },
    {
      all: async (limit) => {
        const found = await ask("webbduck_ids", { ...currentQuery(), start: 0, limit });
        showError(found.error);
        if (grid.pictures > limit) {
          toast(`The first ${number(limit)} are chosen; more at once is not possible.`);
        }
        return found.ids ?? [];
      },
    },
  );

  async function pack(ids) {
    countText.textContent = `Packing ${many(ids.length, "picture")}`;
    const done = await ask("webbduck_export", ids);
    facts();
    if (done.error) return showError(done.error);
    showError();
    const link = h("a", { href: done.url, download: `webbduck-${day()}-${ids.length}.zip` });
    home().append(link);
    link.click();
    link.remove();
    toast(`${many(done.count, "picture")}, ${bytes(done.size_bytes)}, in one zip file.`);
  }

  /** Delete pictures ({ids, copies}) or a run ({run}), and offer the way back for a while. */
  async function remove(what, more = "") {
    const done = await ask("webbduck_delete", what);
    if (done.error) {
      showError(done.error);
      return done;
    }
    showError();
    choice.drop(what.ids ?? done.images);
    toast(
      `${done.count === 1 ? "Moved" : `${many(done.count, "picture")} moved`} to the trash${more}.`,
      async () => {
        const back = await ask("webbduck_restore", done.id);
        if (back.error) return showError(back.error);
        await refresh();
        if (box.dialog.open || what.fromBox) box.open({ id: done.images[0] });
      },
    );
    await refresh();
    return done;
  }

  // ---- lightbox, trash, toast

  const box = makeLightbox(home(), {
    grid,
    ask,
    act: (name, id, more) => {
      if (name === "reuse" || name === "send") {
        box.dialog.close();
        trigger(name, { id, ...more });
      } else if (name === "make") trigger("make", { id, ...more });
      else if (name === "caption") {
        box.dialog.close();
        trigger("reuse", { id, what: "text", text: more.text });
      } else if (name === "delete") {
        return remove(
          { ids: [id], fromBox: true },
          more.copies
            ? `; its ${more.copies === 1 ? "upscaled copy stays" : `${more.copies} upscaled copies stay`}`
            : "",
        );
      } else if (name === "closed") {
        const at = id && grid.find(id);
        if (at) {
          grid.show(at.index);
          requestAnimationFrame(() => focusOn(id));
        }
      }
      return null;
    },
  });
  const focusOn = (id) =>
    [...canvas.querySelectorAll(".cell[data-id]")]
      .find((each) => each.dataset.id === id)
      ?.querySelector(".open")
      .focus({ preventScroll: true });
  const trash = makeTrash($(".g-trash"), {
    ask,
    restored: () => refresh(),
    closed: () => {
      $(".gallery").classList.remove("in-trash");
      grid.schedule();
    },
  });

  // ---- the bar

  const filters = makeFilters(
    $(".g-filters"),
    () => query.value,
    (text) => {
      query.value = text;
      search();
    },
  );
  const runsOrSingle = h(
    "div",
    { class: "g-switch", role: "group", "aria-label": "Arrangement" },
    [
      ["runs", "Runs"],
      ["single", "Single"],
    ].map(([name, text]) =>
      h(
        "button",
        {
          type: "button",
          "data-view": name,
          title: name === "runs" ? "Pictures of one job side by side" : "Every picture for itself",
          onclick: () => {
            flat = name === "single";
            setStored("galleryView", name);
            tools();
            search();
          },
        },
        text,
      ),
    ),
  );
  const sorting = h(
    "select",
    {
      class: "g-filter",
      "aria-label": "Order",
      title: "A run stands where the first of its pictures would stand",
      onchange: (event) => {
        order = event.target.value;
        setStored("galleryOrder", order);
        search();
      },
    },
    ORDERS.map(([name, text]) => h("option", { value: name }, text)),
  );
  const sizing = h(
    "div",
    { class: "g-switch g-sizes", role: "group", "aria-label": "Size of the thumbnails" },
    [
      ["small", "S"],
      ["middle", "M"],
      ["large", "L"],
    ].map(([name, text]) =>
      h(
        "button",
        {
          type: "button",
          "data-size": name,
          title: `${name[0].toUpperCase()}${name.slice(1)} thumbnails`,
          onclick: () => {
            side = name;
            setStored("gallerySize", name);
            grid.resize(side);
            tools();
          },
        },
        text,
      ),
    ),
  );
  sorting.value = order;
  put(
    $(".g-tools"),
    runsOrSingle,
    sorting,
    sizing,
    h(
      "button",
      {
        type: "button",
        class: "g-act g-open-trash",
        title: "What was deleted",
        onclick: () => {
          $(".gallery").classList.add("in-trash");
          trash.open();
        },
      },
      icon("trash"),
      "Trash",
    ),
  );
  function tools() {
    for (const each of runsOrSingle.children) {
      each.setAttribute("aria-pressed", String((each.dataset.view === "single") === flat));
    }
    for (const each of sizing.children) each.setAttribute("aria-pressed", String(each.dataset.size === side));
  }
  tools();
  $(".g-more-filters").onclick = (event) =>
    event.target.setAttribute("aria-expanded", String($(".g-bar").classList.toggle("unfolded")));
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".g-help")) $(".g-help").open = false;
  });

  function facts() {
    const asked = query.value.trim();
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
            h(
              "button",
              {
                type: "button",
                class: "g-act",
                onclick: () => {
                  query.value = "";
                  search();
                },
              },
              "Show all pictures",
            ),
          ]
        : complete
          ? "No pictures yet. What you generate in the Studio is kept here."
          : "Looking through the folders.",
    );
  }

  // ---- asking

  /** Something else is wanted: the first page at once, how much there is right after. */
  async function search() {
    const mine = (epoch += 1);
    canvas.setAttribute("aria-busy", "true");
    filters.show();
    const [page, layout] = [
      ask("webbduck_list", {
        ...currentQuery(),
        start: 0,
        limit: grid.flat === flat ? grid.pageSize() : flat ? IMAGES_A_PAGE : RUNS_A_PAGE,
      }),
      ask("webbduck_layout", currentQuery()),
    ];
    const first = await page;
    if (mine !== epoch) return;
    showError(first.error);
    if (!first.error) grid.begin(flat, first.images ?? first.runs);
    requestAnimationFrame(() => {
      if (mine === epoch) canvas.removeAttribute("aria-busy");
    }); // once it is drawn
    if (first.error) return;
    const all = await layout;
    if (mine !== epoch) return;
    showError(all.error);
    if (!all.error) {
      grid.settle(all);
      complete = all.complete;
      leftOut = all.left_out;
    }
    facts();
  }

  /** The same again, after something changed; what is in view stays where it is. */
  async function refresh() {
    if (refreshing) {
      again = true;
      return;
    }
    refreshing = true;
    const mine = epoch;
    const numbers = grid.pagesInView();
    const size = grid.pageSize();
    const [layout, ...pages] = await Promise.all([
      ask("webbduck_layout", currentQuery()),
      ...numbers.map((page) => ask("webbduck_list", { ...currentQuery(), start: page * size, limit: size })),
    ]);
    refreshing = false;
    if (mine === epoch) {
      const error = layout.error ?? pages.find((page) => page.error)?.error;
      showError(error);
      if (!error) {
        complete = layout.complete;
        leftOut = layout.left_out;
        grid.settle(layout, new Map(pages.map((page, each) => [numbers[each], page.images ?? page.runs])));
        facts();
        box.relisted();
      }
    }
    if (again) {
      again = false;
      await refresh();
    }
  }
  let choicesAt = 0;
  let offering = null;
  async function offer() {
    choicesAt = Date.now();
    const found = await ask("webbduck_choices", {});
    if (found.names) filters.offer(found.names);
  }

  let typing = null;
  query.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(search, 180);
  });
  query.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      clearTimeout(typing);
      search();
    }
    if (event.key === "Escape" && query.value) {
      event.stopPropagation();
      query.value = "";
      search();
    }
    if (event.key === "ArrowDown") {
      event.preventDefault();
      canvas.querySelector(".cell .open")?.focus();
    }
  });
  $(".gallery").addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || trash.shown) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      event.preventDefault();
      choice.all();
      return;
    }
    if (event.key === "Escape" && choice.any) {
      choice.clear();
      return;
    }
    if (event.key === "/") {
      event.preventDefault();
      query.focus();
      return;
    }
    if (event.key === "Delete" && choice.any) {
      remove({ ids: [...choice.ids], copies: true });
      return;
    }
    const here = event.target.closest?.(".cell[data-id]");
    if (!here) return;
    if (event.key.toLowerCase() === "x") {
      event.preventDefault();
      choice.toggle(here.dataset.id);
      return;
    }
    const to = neighbour(here, event.key);
    if (to) {
      event.preventDefault();
      to.querySelector(".open").focus();
    }
  });
  /** The cell that an arrow key leads to, by where it is on the screen. */
  function neighbour(here, key) {
    if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(key)) return null;
    const from = here.getBoundingClientRect();
    const along = key === "ArrowLeft" || key === "ArrowRight";
    const sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
    let best = null;
    let least = Infinity;
    for (const each of canvas.querySelectorAll(".cell[data-id]")) {
      const to = each.getBoundingClientRect();
      const dx = to.left - from.left;
      const dy = to.top - from.top;
      const ahead = sign * (along ? dx + dy * 1000 : dy);
      const aside = along ? 0 : Math.abs(dx);
      if (each === here || ahead <= (along ? 0 : from.height / 2)) continue;
      const far = ahead + aside * 4;
      if (far < least) {
        least = far;
        best = each;
      }
    }
    return best;
  }

  // ---- what others tell

  subscribe("show", (value) => {
    if (value.image) {
      last.delete("show");
      box.open({ id: value.image });
    }
  });
  let seenOutcome = last.get("outcome")?.at;
  subscribe("outcome", (value) => {
    if (value.at === seenOutcome) return;
    seenOutcome = value.at;
    if (value.where === "gallery" && value.error) return toast(value.error);
    if (!value.what || !value.job_id) return;
    const name = { again: "Regenerating", vary: "A variation", upscale: "Upscaling", caption: "A caption" }[
      value.what
    ];
    const showQueue = () => {
      box.dialog.close();
      openTab("queue");
    };
    toast([`${name} is queued.`, ...(value.warnings ?? [])].join(" "), showQueue, "Show the queue");
  });
  const read = new Set();
  subscribe("jobs", (state) => {
    for (const job of state.recent) {
      const caption = job.kind === "caption" && job.status === "completed" && job.result?.caption;
      if (caption && !read.has(job.job_id)) {
        read.add(job.job_id);
        box.captioned(job.request.image, caption);
      }
    }
  });
  subscribe("gallery", (value) => {
    if (value.version === version) return;
    version = value.version;
    if (started) refresh();
    else {
      started = true;
      search();
    }
    clearTimeout(offering);
    offering = setTimeout(offer, Math.max(0, choicesAt + 5000 - Date.now()));
  });
  if (!started) {
    started = true;
    search();
  }
  offer();
}
