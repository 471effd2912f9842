// @ts-check
// The column of recent pictures, on wide screens: press one to look at it, drag it to the form to use it.
import { last, publish, subscribe } from "../shared/bus.js";
import { h, listenerSignal } from "../shared/dom.js";
import { callOrToast, callServer } from "../shared/server_call.js";
import { thumbUrl } from "../shared/urls.js";

const MOST_LETTERS = 120;
/** Type of what is dragged; a file drag has others. */
const PICTURE = "application/x-webbduck-picture";

/** @param {GradioView} view */
export default function start({ element, server }) {
  const signal = listenerSignal("recent");
  const list = element.querySelector(".recent-list");
  const wide = window.matchMedia("(min-width: 1700px)");
  /** Buttons by picture. */
  const nodes = new Map();
  let isStale = true;
  let wanted = null;
  let shown = null;

  async function load() {
    isStale = true;
    if (!wide.matches) return;
    isStale = false;
    const found = await callServer(() => server.webbduck_recent(null));
    if (found.error) isStale = true;
    else draw(found.images);
  }
  subscribe("gallery", load);
  wide.addEventListener("change", () => isStale && load(), { signal });

  /** Those that stay are not moved, so that the focus and the scroll position stay too. */
  function draw(images) {
    const ids = new Set(images.map((image) => image.id));
    for (const [id, node] of nodes) {
      if (ids.has(id)) continue;
      node.remove();
      nodes.delete(id);
    }
    images.forEach((image, index) => {
      if (!nodes.has(image.id)) nodes.set(image.id, picture(image));
      const node = nodes.get(image.id);
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
    });
    mark();
  }

  function picture({ id, prompt, seed, problem, w }) {
    const label = prompt || "(no prompt)";
    return h(
      "button",
      {
        type: "button",
        "data-id": id,
        draggable: problem && !w ? null : "true",
        title: "Press to look at it, drag it to the form to use it as input picture",
        "aria-label": [
          label.length > MOST_LETTERS ? `${label.slice(0, MOST_LETTERS)}…` : label,
          Number.isInteger(seed) ? `seed ${seed}` : "",
        ]
          .filter(Boolean)
          .join(", "),
        onclick: () => look(id),
        ondragstart: (event) => beginDrag(event, id),
        ondragend: () => zone.remove(),
      },
      problem && !w
        ? h("span", { class: "muted" }, problem)
        : h("img", { src: thumbUrl(id), alt: "", loading: "lazy", draggable: "false" }),
    );
  }

  /** The viewer knows the recent jobs; of any other picture it is told what the file records. */
  async function look(id) {
    wanted = id;
    const jobs = last.get("jobs");
    const isKnown = [...(jobs?.jobs ?? []), ...(jobs?.recent ?? [])].some((job) => job.images.includes(id));
    const found = isKnown ? { image: id, job: null } : await callOrToast(() => server.webbduck_recorded(id));
    if (found && wanted === id) publish("look", found);
  }

  // One stop for Tab: the picture that is shown, or the first.
  function mark() {
    const current = nodes.get(shown) ?? list.firstElementChild;
    for (const [id, node] of nodes) {
      node.tabIndex = node === current ? 0 : -1;
      if (id === shown) node.setAttribute("aria-current", "true");
      else node.removeAttribute("aria-current");
    }
  }
  subscribe("shown", (id) => {
    shown = id;
    mark();
  });
  list.addEventListener("keydown", (event) => {
    const columns = getComputedStyle(list).gridTemplateColumns.split(" ").length;
    const all = [...list.children];
    const at = all.indexOf(document.activeElement);
    const to = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at + columns,
      ArrowUp: at - columns,
      Home: 0,
      End: all.length - 1,
    }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    all[to]?.focus();
    all[to]?.click();
  });

  // Where a picture can be dropped: the form.
  const zone = h(
    "div",
    { class: "recent-zone" },
    h("b", {}, "Use as input picture"),
    h("span", {}, "For img2img or inpainting"),
  );
  function beginDrag(event, id) {
    event.dataTransfer.setData(PICTURE, id);
    event.dataTransfer.effectAllowed = "copy";
    // Later, since a change of the page may end a drag that just begins.
    setTimeout(() => document.getElementById("controls")?.append(zone));
  }
  zone.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes(PICTURE)) event.preventDefault();
  });
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    const id = event.dataTransfer?.getData(PICTURE);
    zone.remove();
    if (id) publish("take", { id });
  });
}
