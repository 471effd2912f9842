// @ts-check
// The lightbox: one picture in full size with its metadata, the other pictures of its run, and navigation.
import { openLayer, showInAddress } from "../shared/address.js";
import { flash } from "../shared/clipboard.js";
import { h, put } from "../shared/dom.js";
import { number } from "../shared/format.js";
import { iconButton } from "../shared/icons.js";
import { toast } from "../shared/toast.js";
import { setUnavailable } from "../shared/unavailable.js";
import { imageUrl } from "../shared/urls.js";
import { variantName } from "../shared/variants.js";
import { imageOf, thumbOf, unreadable } from "./images.js";
import { makeStage } from "./lightbox_zoom.js";
import { makePanel } from "./panel.js";

const ALONE = "This run has one picture; select two in the gallery to compare them.";

/**
 * `grid` provides the neighbours; `act(name, id, more)` performs actions outside the lightbox; `signal`
 * removes it.
 */
export function makeLightbox(home, { grid, act, ask, signal }) {
  const stage = h("div", { class: "g-stage" });
  const panel = h("aside", { class: "info", "aria-label": "About the picture" });
  const strip = h("div", { class: "g-strip", role: "group", "aria-label": "The run's pictures" });
  const place = h("span", { class: "g-place" });
  const level = h("button", {
    type: "button",
    class: "g-level",
    title: "Fit or actual size (double click)",
    onclick: () => view.real(),
  });
  const favourite = iconButton("heart", "Favourite (S)", () => toggleFavourite(), {
    class: "g-icon g-favourite",
  });
  const split = iconButton("compare", "Compare (C)", () => toggleCompare(), { class: "g-icon" });
  const tools = h(
    "div",
    { class: "g-lightbox-bar" },
    place,
    h("span", { class: "g-gap" }),
    iconButton("minus", "Zoom out (-)", () => view.zoom(1 / 1.4), { class: "g-icon zoom-out" }),
    level,
    iconButton("plus", "Zoom in (+)", () => view.zoom(1.4), { class: "g-icon zoom-in" }),
    split,
    favourite,
    iconButton("full", "Full screen (F)", fullscreen, { class: "g-icon" }),
    iconButton("info", "Show or hide the details (I)", () => dialog.classList.toggle("bare"), {
      class: "g-icon toggle-info",
    }),
    iconButton("close", "Close (Esc)", () => dialog.close(), { class: "g-icon close" }),
  );
  const before = iconButton("left", "Previous (left arrow)", () => step(-1), {
    class: "g-icon g-step before",
  });
  const after = iconButton("right", "Next (right arrow)", () => step(1), { class: "g-icon g-step after" });
  const dialog = h(
    "dialog",
    { class: "lightbox", "aria-label": "Picture" },
    h("div", { class: "big" }, tools, stage, before, after, strip),
    panel,
  );
  home.append(dialog);
  let shown = null;
  let at = null;
  let found = null;
  let other = null;
  let compareLayer = null;
  const captions = new Map();
  let stepping = false;
  const view = makeStage(stage, {
    step,
    away: () => dialog.close(),
    moved: (real) => {
      level.textContent = `${Math.round(real * 100)} %`;
    },
  });
  const about = makePanel(panel, {
    open: (id) => open({ id }),
    compare,
    upscalers: () => ask("webbduck_upscalers", shown.id),
    act: (name, more) =>
      name === "delete" ? remove() : name === "copy" ? copyPicture(more.button) : act(name, shown.id, more),
  });

  /** Open a picture {id, v, w, h}; all but the id may be missing. `beside` is an id to compare it with. */
  async function open(image, beside = null) {
    const id = image.id;
    shown = image;
    found = null;
    at = grid.find(id) ?? (at && dialog.open ? at : null);
    if (!dialog.open) {
      dialog.showModal();
      dialog.classList.remove("bare");
    }
    showInAddress(dialog, id);
    if (other) leaveCompare();
    if (unreadable(image)) view.refuse(image.problem);
    else view.show(imageOf(image), thumbOf(image), "Picture", image.w ? [image.w, image.h] : null);
    position();
    about.message("Loading the metadata");
    const answer = await fetchDetails(id);
    if (shown?.id !== id) return;
    if (answer.error) {
      if (!answer.lost) view.refuse(answer.error);
      about.fail(answer.error, id);
      put(strip);
      return;
    }
    found = answer;
    stage.querySelector("img.main").alt = found.prompt || "Finished picture";
    favourite.setAttribute("aria-pressed", String(found.favourite));
    about.show(found, captions.get(id));
    drawStrip();
    if (beside) compare(beside);
    else ahead();
  }
  const fetchDetails = (id) => ask("webbduck_image", id);

  function drawStrip() {
    const ids = found.run.flatMap((image) => [
      image,
      ...(image.variants ?? []).map((id) => ({ id, copy: true })),
    ]);
    put(
      strip,
      ids.length > 1
        ? ids.map((image, index) =>
            h(
              "button",
              {
                type: "button",
                class: image.copy ? "copy" : "",
                "data-id": image.id,
                title: image.copy ? `${image.id}, ${variantName(image.id)}` : image.id,
                "aria-label": `Picture ${index + 1} of ${ids.length}, ${detailOf(image)}`,
                "aria-current": String(image.id === shown.id),
                onclick: () => (other ? compare(image.id) : open(image)),
              },
              stripPicture(image),
            ),
          )
        : [],
    );
    setUnavailable(split, ids.length > 1 ? null : ALONE);
    strip.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }

  const detailOf = (image) => (image.copy ? variantName(image.id) : `seed ${image.seed ?? "unknown"}`);

  function stripPicture(image) {
    const broken = () =>
      h("span", { class: "broken", title: image.problem ?? "No thumbnail could be created." }, "!");
    return unreadable(image)
      ? broken()
      : h("img", {
          src: thumbOf(image),
          alt: "",
          loading: "lazy",
          onerror: (event) => event.target.replaceWith(broken()),
        });
  }

  function position() {
    const name = shown.id.split("/").at(-1);
    place.textContent =
      at && grid.flat
        ? `${number(at.index + 1)} of ${number(grid.count)}`
        : at
          ? `Run ${number(at.index + 1)} of ${number(grid.count)}, ${name}`
          : name;
  }

  /** The position `by` pictures from another, across runs; null past the first or last picture. */
  async function further(from, by) {
    const run = await grid.load(from.index);
    const inside = from.image + by;
    if (run && !grid.flat && inside >= 0 && inside < run.images.length) {
      return { index: from.index, image: inside, picture: run.images[inside] };
    }
    const next = await grid.load(from.index + by);
    if (!next) return null;
    if (grid.flat) return { index: from.index + by, image: 0, picture: next };
    const image = by > 0 ? 0 : next.images.length - 1;
    return { index: from.index + by, image, picture: next.images[image] };
  }
  async function step(by) {
    if (stepping) return;
    stepping = true;
    try {
      const from = at ?? null;
      const next = from ? await further(from, by) : besideInStrip(by);
      if (!next) return;
      at = next.index === undefined ? null : { index: next.index, image: next.image };
      await Promise.race([
        open(next.picture),
        new Promise((done) => {
          setTimeout(done, 80);
        }),
      ]);
    } finally {
      stepping = false;
    }
  }
  /** The neighbour within the run, for a picture that is not in the list. */
  function besideInStrip(by) {
    const ids = found?.run.map((image) => image.id) ?? [];
    const picture = found?.run[ids.indexOf(shown.id) + by];
    return picture ? { picture } : null;
  }
  /** Preload both neighbours. */
  async function ahead() {
    if (!at) return;
    for (const by of [1, -1]) {
      const next = await further(at, by);
      if (next && !unreadable(next.picture)) new Image().src = imageOf(next.picture);
    }
  }

  async function toggleCompare() {
    if (other) return leaveCompare(true);
    const choice =
      found?.original ??
      found?.variants[0] ??
      found?.run.find((image) => image.id !== shown.id && !unreadable(image))?.id;
    if (choice) compare(choice);
    else if (found) toast(ALONE);
  }
  async function compare(id) {
    const mine = shown.id;
    const reason = unreadable(found?.run.find((image) => image.id === id) ?? {});
    if (reason) return about.fail(reason);
    other = id;
    compareLayer ??= openLayer(() => leaveCompare(true));
    dialog.classList.add("comparing");
    split.setAttribute("aria-pressed", "true");
    const names = [shown.id, id].map((each, _, all) =>
      all[0].split("/")[0] === all[1].split("/")[0] ? each.split("/").at(-1) : each,
    );
    view.compare(imageUrl(id), id, names);
    for (const each of strip.children) each.toggleAttribute("data-second", each.dataset.id === id);
    const answer = await fetchDetails(id);
    if (shown?.id !== mine || other !== id) return;
    if (answer.error) {
      leaveCompare();
      about.fail(answer.error);
    } else if (found) about.differences(found, answer);
  }
  function leaveCompare(again = false) {
    other = null;
    compareLayer?.closed();
    compareLayer = null;
    dialog.classList.remove("comparing");
    split.setAttribute("aria-pressed", "false");
    view.compare(null);
    if (dialog.open) split.focus({ preventScroll: true });
    for (const each of strip.children) each.removeAttribute("data-second");
    if (again && found) about.show(found, captions.get(shown.id));
  }

  async function toggleFavourite() {
    if (!found) return;
    const on = !found.favourite;
    const answer = await ask("webbduck_favourite", { ids: [shown.id], on });
    if (answer.error) return about.fail(answer.error);
    found.favourite = on;
    favourite.setAttribute("aria-pressed", String(on));
  }
  async function remove() {
    const id = shown.id;
    const next = at
      ? ((await further(at, 1)) ?? (await further(at, -1)))
      : (besideInStrip(1) ?? besideInStrip(-1));
    const answer = await act("delete", id, {
      copies: found?.variants.length && !found.original ? found.variants.length : 0,
    });
    if (answer?.error) return about.fail(answer.error);
    if (next) {
      at = next.index === undefined ? null : next;
      open(next.picture);
    } else dialog.close();
  }
  async function copyPicture(button) {
    try {
      const canvas = document.createElement("canvas");
      const image = stage.querySelector("img.main");
      [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
      canvas.getContext("2d").drawImage(image, 0, 0);
      const png = new Promise((done) => {
        canvas.toBlob(done, "image/png");
      });
      await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
      flash(button, "Copied", 1600);
    } catch {
      flash(button, "Blocked by the browser", 1600);
    }
  }
  /** A dialog cannot be full screen, so the whole page becomes it; the dialog fills the page. */
  function fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen?.().catch(() => {});
  }

  const keys = {
    ArrowRight: () => step(1),
    ArrowLeft: () => step(-1),
    Delete: remove,
    "+": () => view.zoom(1.4),
    "=": () => view.zoom(1.4),
    "-": () => view.zoom(1 / 1.4),
    0: () => view.fit(),
    1: () => view.real(),
    f: fullscreen,
    s: toggleFavourite,
    c: toggleCompare,
    i: () => dialog.classList.toggle("bare"),
  };
  // On the document, since the element that had the focus may have been removed.
  const onKey = (event) => {
    if (
      !dialog.open ||
      event.defaultPrevented ||
      [...document.querySelectorAll("dialog[open]")].at(-1) !== dialog
    ) {
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) {
      return;
    }
    const action = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (action) {
      event.preventDefault();
      action();
    }
  };
  document.addEventListener("keydown", onKey, { signal });
  signal.addEventListener("abort", () => dialog.remove());
  dialog.addEventListener("cancel", (event) => {
    if (other) {
      event.preventDefault();
      leaveCompare(true);
    }
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    const last = shown;
    shown = null;
    if (other) leaveCompare();
    act("closed", last?.id);
  });

  return {
    dialog,
    open,
    get id() {
      return shown?.id ?? null;
    },
    /** The list was refreshed: find the picture's position again and reload its details. */
    async relisted() {
      if (!shown) return;
      at = grid.find(shown.id) ?? at;
      position();
      const id = shown.id;
      const answer = await fetchDetails(id);
      if (shown?.id !== id || answer.error || other) return;
      const same =
        found &&
        JSON.stringify([found.run, found.variants, found.favourite]) ===
          JSON.stringify([answer.run, answer.variants, answer.favourite]);
      found = answer;
      if (!same) {
        favourite.setAttribute("aria-pressed", String(found.favourite));
        drawStrip();
        about.show(found, captions.get(id));
      }
    },
    captioned(id, text) {
      captions.set(id, text);
      if (shown?.id === id && !other) about.caption(text);
    },
  };
}
