// @ts-check
// The Gallery tab: connects search, filters, grid, selection, lightbox and trash.
import { address, giveUpAddress, setAddress } from "../shared/address.js";
import { last, subscribe } from "../shared/bus.js";
import { h, home, listenerSignal, touch } from "../shared/dom.js";
import { bytes, day, many, number } from "../shared/format.js";
import { keepOverReload } from "../shared/scroll_memory.js";
import { callServer } from "../shared/server_call.js";
import { toast } from "../shared/toast.js";
import { keepForUndo } from "../studio/settings_menu.js";
import { makeCells } from "./cells.js";
import { showCount } from "./count.js";
import { makeFiltersButton } from "./filters_button.js";
import { IMAGES_A_PAGE, RUNS_A_PAGE, makeGrid } from "./grid.js";
import { closeHelpOutside, listenForKeys, listenInSearch } from "./keyboard.js";
import { makeLightbox } from "./lightbox.js";
import { listenForOutcomes } from "./outcomes.js";
import { makeFilters } from "./query.js";
import { createSelection, idsBetween } from "./selection.js";
import { makeToolbar } from "./toolbar.js";
import { makeTrash } from "./trash.js";
import { followUpscaling } from "./upscaling.js";

/** @param {GradioView} view */
export default function start({ element, trigger, server }) {
  const signal = listenerSignal("gallery");
  const $ = (selector) => element.querySelector(selector);
  const query = $(".g-query");
  const problem = $(".g-problem");
  const scroller = $(".g-scroll");
  const canvas = $(".g-canvas");
  const countText = $(".g-count");
  let version = null;
  let complete = true;
  let leftOut = [];
  let epoch = 0;
  let refreshing = false;
  let again = false;
  let started = false;

  const ask = (name, value) =>
    callServer(
      () => server[name](value),
      grid.pictures
        ? "The server did not answer; the list may be out of date."
        : "The server does not answer; the pictures are listed when it does.",
    );
  const showError = (text) => {
    problem.textContent = text ?? "";
  };
  const arrangement = makeToolbar($(".g-tools"), {
    changed: () => search(),
    resized: () => grid.resize(arrangement.side),
    openTrash() {
      $(".gallery").classList.add("in-trash");
      trash.open();
    },
  });
  const currentQuery = () => ({
    query: query.value.trim(),
    order: arrangement.order,
    flat: arrangement.flat,
  });

  // ---- the grid

  async function selectTo(id) {
    const ids = await idsBetween(grid, selection.anchor, id);
    if (ids) selection.add(ids);
    else selection.toggle(id);
  }
  const cells = makeCells({
    order: () => arrangement.order,
    actions: {
      press,
      tick: (event, id) => (event.shiftKey && selection.anchor ? selectTo(id) : selection.toggle(id)),
      listen: (node, id) => selection.listen(node, id),
      mark: (node) => selection.mark(node),
      add: (ids) => selection.add(ids),
      removeRun: (run) => remove({ run }),
      favour: (id, on) => setFavourite([id], on),
      use: (id) => reuse("reuse", { id, what: "all" }),
    },
  });

  const grid = makeGrid(scroller, canvas, {
    ask: (start, limit) => ask("webbduck_list", { ...currentQuery(), start, limit }),
    draw: {
      ...cells,
      manner: () => arrangement.order,
      blank: () => h("div", { class: "cell blank", "aria-hidden": "true" }),
    },
    failed: showError,
  });
  grid.resize(arrangement.side);

  function press(event, image, node) {
    if (node.dataset.held) {
      delete node.dataset.held;
      return;
    }
    if (event.shiftKey && selection.anchor) return selectTo(image.id);
    if (event.ctrlKey || event.metaKey || event.shiftKey || (selection.any && touch.matches)) {
      return selection.toggle(image.id);
    }
    box.open(image);
  }

  // ---- selection

  const setFavourite = async (ids, on) => {
    const done = await ask("webbduck_favourite", { ids, on });
    showError(done.error);
    if (!done.error) {
      toast(`${many(ids.length, "picture")} ${on ? "marked as" : "no longer"} favourite.`, () =>
        setFavourite(ids, !on),
      );
    }
  };
  const selection = createSelection(
    $(".g-selected"),
    canvas,
    {
      compare: {
        text: "Compare",
        icon: "compare",
        title: "Compare the two pictures",
        unfit: (count) => (count === 2 ? null : "Select two pictures to compare them."),
        run: ([one, other]) => box.open({ id: one }, other),
      },
      export: {
        text: "Export zip",
        icon: "download",
        title: "Download a zip file with the pictures, their upscaled images and metadata",
        run: pack,
      },
      favour: {
        text: "Favourite",
        icon: "heart",
        title: "Mark as favourites",
        run: (ids) => setFavourite(ids, true),
      },
      delete: {
        text: "Delete",
        icon: "trash",
        title: "Move to the trash, with their upscaled images",
        run: (ids) => remove({ ids, copies: true }),
      },
    },
    {
      all: async (limit) => {
        const found = await ask("webbduck_ids", { ...currentQuery(), start: 0, limit });
        showError(found.error);
        if (grid.pictures > limit) {
          toast(`Only the first ${number(limit)} pictures are selected.`);
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

  /** Move pictures ({ids, copies}) or a run ({run}) to the trash; the toast offers Undo. */
  async function remove(what, more = "") {
    const done = await ask("webbduck_delete", what);
    if (done.error) {
      showError(done.error);
      return done;
    }
    showError();
    selection.drop(what.ids ?? done.images);
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

  function reuse(name, asked) {
    keepForUndo();
    trigger(name, asked);
  }

  // ---- lightbox, trash, toast

  const box = makeLightbox(home(), {
    signal,
    grid,
    ask,
    act: (name, id, more) => {
      if (name === "reuse" || name === "send") {
        box.dialog.close();
        reuse(name, { id, ...more });
      } else if (name === "make") trigger("make", { id, ...more });
      else if (name === "caption") {
        box.dialog.close();
        reuse("reuse", { id, what: "text", text: more.text });
      } else if (name === "delete") {
        return remove(
          { ids: [id], fromBox: true },
          more.copies
            ? `; its ${more.copies === 1 ? "upscaled image stays" : `${more.copies} upscaled images stay`}`
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

  followUpscaling((id) => box.open({ id }));

  // ---- toolbar

  const filters = makeFilters(
    $(".g-filters"),
    () => query.value,
    (text) => {
      query.value = text;
      search();
    },
    makeFiltersButton($(".g-bar"), signal),
  );
  arrangement.foldOrder($(".g-filters"));
  closeHelpOutside($(".g-help"), $(".g-search"), signal);

  const showAll = () => {
    query.value = "";
    search();
  };
  const facts = () =>
    showCount({ countText, canvas, grid, asked: query.value.trim(), complete, leftOut, showAll });

  // ---- requests

  /** Run a new query. */
  async function search() {
    const mine = (epoch += 1);
    canvas.setAttribute("aria-busy", "true");
    setAddress({ query: query.value.trim() });
    filters.show();
    const size =
      grid.flat === arrangement.flat ? grid.pageSize() : arrangement.flat ? IMAGES_A_PAGE : RUNS_A_PAGE;
    const [page, all] = await Promise.all([
      ask("webbduck_list", { ...currentQuery(), start: 0, limit: size }),
      ask("webbduck_layout", currentQuery()),
    ]);
    if (mine !== epoch) return;
    const error = page.error ?? all.error;
    showError(error);
    if (!error) grid.begin(arrangement.flat, page.images ?? page.runs, all);
    requestAnimationFrame(() => {
      if (mine === epoch) canvas.removeAttribute("aria-busy");
    }); // after the grid has rendered
    if (error) return;
    complete = all.complete;
    leftOut = all.left_out;
    facts();
    // The first query after a reload may be one that the address then replaces.
    if (placeKept?.query !== query.value.trim()) return;
    grid.goTo(placeKept);
    placeKept = null;
  }
  let placeKept = keepOverReload("gallery", () => ({ query: query.value.trim(), ...grid.place }));

  /** Repeat the query after a change of the gallery; the pictures in view stay in place. */
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
  let suggesting = null;
  async function suggest() {
    choicesAt = Date.now();
    const found = await ask("webbduck_choices", {});
    if (found.names) filters.suggest(found.names);
  }

  listenInSearch(query, { search, showAll, toGrid: () => canvas.querySelector(".cell .open")?.focus() });
  listenForKeys($(".gallery"), {
    canvas,
    selection,
    isAside: () => trash.shown,
    search: () => query.focus(),
    remove: (ids) => remove({ ids, copies: true }),
  });

  // ---- channels

  subscribe("show", async (value) => {
    if (!value.image) return;
    last.delete("show");
    const gone = value.fromAddress && (await ask("webbduck_image", value.image)).error;
    if (!gone) return box.open({ id: value.image });
    toast(gone);
    giveUpAddress();
  });
  const followAddress = () => {
    if (address().query === query.value.trim()) return;
    query.value = address().query;
    if (started) search();
  };
  // The page may have been opened with a search in its address; what was typed before this ran goes first.
  if (!query.value.trim()) followAddress();
  subscribe("address", followAddress);
  listenForOutcomes(box);
  subscribe("gallery", (value) => {
    if (value.version === version) return;
    version = value.version;
    if (started) refresh();
    else {
      started = true;
      search();
    }
    clearTimeout(suggesting);
    suggesting = setTimeout(suggest, Math.max(0, choicesAt + 5000 - Date.now()));
  });
  if (!started) {
    started = true;
    search();
  }
  suggest();
}
