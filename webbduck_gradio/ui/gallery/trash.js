// @ts-check
// The trash: deleted pictures, which can be restored until it is emptied.
import { openLayer } from "../shared/address.js";
import { h, put } from "../shared/dom.js";
import { bytes, many, number, timeAgo } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { toast } from "../shared/toast.js";
import { trashUrl } from "../shared/urls.js";

/** Fills `box` with the trash view; `restored(ids)` is called after a restore. */
export function makeTrash(box, { ask: call, restored, closed }) {
  const list = h("div", { class: "g-entries" });
  const facts = h("p", { class: "muted" });
  const empty = h(
    "button",
    { type: "button", class: "g-act danger", onclick: () => confirmation.showModal() },
    icon("trash"),
    "Empty the trash",
  );
  const problem = h("p", { class: "problem", role: "alert" });
  const confirmation = h("dialog", { class: "g-confirm", "aria-label": "Empty the trash" });
  put(
    box,
    h(
      "header",
      { class: "g-trash-head" },
      h("button", { type: "button", class: "g-act back", onclick: () => close() }, icon("left"), "Gallery"),
      h("h2", {}, "Trash"),
      facts,
      h("span", { class: "g-gap" }),
      empty,
    ),
    problem,
    list,
    confirmation,
  );

  async function ask(name, value) {
    const found = await call(name, value);
    problem.textContent = found.error ?? "";
    return found.error ? null : found;
  }
  async function refresh() {
    const found = await ask("webbduck_trash", {});
    if (!found) return;
    empty.disabled = !found.deletions;
    facts.textContent = found.deletions
      ? `${many(found.pictures, "picture")}, ${bytes(found.size_bytes)}`
      : "";
    put(
      confirmation,
      h("h3", {}, `Delete ${many(found.pictures, "picture")} permanently?`),
      h("p", {}, `This frees ${bytes(found.size_bytes)} and cannot be undone.`),
      h(
        "div",
        { class: "g-confirm-acts" },
        h("button", { type: "button", autofocus: true, onclick: () => confirmation.close() }, "Cancel"),
        h("button", { type: "button", class: "danger", onclick: emptyIt }, "Delete permanently"),
      ),
    );
    put(
      list,
      found.entries.length
        ? found.entries.map(entry)
        : h("p", { class: "nothing" }, "The trash is empty. Deleted pictures stay here until you empty it."),
      found.deletions > found.entries.length
        ? h("p", { class: "muted" }, `And ${many(found.deletions - found.entries.length, "older deletion")}.`)
        : null,
    );
    // The button that had the focus was removed.
    const focused = document.activeElement;
    if (!box.contains(focused) || focused.matches(":disabled")) box.querySelector(".back").focus();
  }
  function entry(one) {
    const thumbs = one.images.map((id) =>
      h("img", {
        src: trashUrl(one.id, id),
        alt: id,
        title: id,
        loading: "lazy",
        onerror: (event) => event.target.replaceWith(h("span", { class: "broken" }, "no thumbnail")),
      }),
    );
    const label = `${many(one.count, "picture")}, deleted ${timeAgo(one.deleted)}`;
    return h(
      "article",
      { class: "g-entry", "data-entry": one.id, "aria-label": label },
      h(
        "header",
        {},
        h("span", {}, label),
        h("button", { type: "button", class: "g-act", onclick: () => restore(one.id) }, "Restore"),
      ),
      h(
        "div",
        { class: "g-entry-images" },
        thumbs,
        one.count > one.images.length
          ? h("span", { class: "muted" }, `and ${number(one.count - one.images.length)} more`)
          : null,
      ),
    );
  }
  async function restore(id) {
    const found = await ask("webbduck_restore", id);
    if (found) {
      restored(found.images);
      toast(`${many(found.images.length, "picture")} restored.`);
    }
    refresh();
  }
  async function emptyIt() {
    confirmation.close();
    const found = await ask("webbduck_empty", {});
    if (found) toast(`${many(found.emptied, "picture")} deleted permanently.`);
    refresh();
  }
  let layer = null;
  function close() {
    layer?.closed();
    layer = null;
    box.hidden = true;
    closed();
  }
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !confirmation.open) close();
  });
  return {
    close,
    open() {
      box.hidden = false;
      layer ??= openLayer(close);
      refresh();
      box.querySelector(".back").focus();
    },
    get shown() {
      return !box.hidden;
    },
    refresh,
  };
}
