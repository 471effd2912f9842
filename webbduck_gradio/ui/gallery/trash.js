// Deleting with a way back: the toast that offers it for a while, and the trash, until it is emptied.
const TOAST_SECONDS = 15;

/** `home` holds the toast while no dialog is open. */
function makeToast(home, dialog) {
  const node = h("div", { class: "toast g-toast", role: "status", hidden: true });
  let fading = null;
  home.append(node);
  dialog.addEventListener("close", () => home.append(node));
  return {
    say(text, label = null, action = null) {
      put(
        node,
        h("span", {}, text),
        label
          ? h(
              "button",
              {
                type: "button",
                onclick: () => {
                  node.hidden = true;
                  action();
                },
              },
              label,
            )
          : null,
        iconButton("close", "Dismiss", () => {
          node.hidden = true;
        }),
      );
      (dialog.open ? dialog : home).append(node);
      node.hidden = false;
      clearTimeout(fading);
      fading = setTimeout(() => {
        node.hidden = true;
      }, TOAST_SECONDS * 1000);
    },
  };
}

/** The Trash view in `box`; `restored(ids)` is told what came back. */
function makeTrash(box, { toast, restored, closed }) {
  const list = h("div", { class: "g-entries" });
  const facts = h("p", { class: "muted" });
  const empty = h(
    "button",
    { type: "button", class: "g-act danger", onclick: () => sure.showModal() },
    icon("trash"),
    "Empty the trash",
  );
  const problem = h("p", { class: "problem", role: "alert" });
  const sure = h("dialog", { class: "g-sure", "aria-label": "Empty the trash" });
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
    sure,
  );

  async function ask(name, value) {
    let found;
    try {
      found = await server[name](value);
    } catch {
      found = { error: "The server did not answer; try again." };
    }
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
      sure,
      h("h3", {}, `Delete ${many(found.pictures, "picture")} for good?`),
      h("p", {}, `This frees ${bytes(found.size_bytes)} and cannot be undone.`),
      h(
        "div",
        { class: "g-sure-acts" },
        h("button", { type: "button", autofocus: true, onclick: () => sure.close() }, "Keep them"),
        h("button", { type: "button", class: "danger", onclick: emptyIt }, "Delete for good"),
      ),
    );
    put(
      list,
      found.entries.length
        ? found.entries.map(entry)
        : h("p", { class: "nothing" }, "The trash is empty. Deleted pictures wait here until it is emptied."),
      found.deletions > found.entries.length
        ? h("p", { class: "muted" }, `And ${many(found.deletions - found.entries.length, "older deletion")}.`)
        : null,
    );
    if (!box.contains(document.activeElement) || document.activeElement.disabled) {
      box.querySelector(".back").focus();
    } // the pressed button is gone
  }
  function entry(one) {
    const thumbs = one.images.map((id) =>
      h("img", {
        src: `media/trash/${one.id}/${id.split("/").map(encodeURIComponent).join("/")}`,
        alt: id,
        title: id,
        loading: "lazy",
        onerror: (event) => event.target.replaceWith(h("span", { class: "broken" }, "no thumbnail")),
      }),
    );
    return h(
      "article",
      { class: "g-entry", "data-entry": one.id },
      h(
        "header",
        {},
        h("span", {}, `${many(one.count, "picture")}, deleted ${webbduck.ago(one.deleted)}`),
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
      toast.say(`${many(found.images.length, "picture")} restored.`);
    }
    refresh();
  }
  async function emptyIt() {
    sure.close();
    const found = await ask("webbduck_empty", {});
    if (found) toast.say(`${many(found.emptied, "picture")} deleted for good.`);
    refresh();
  }
  function close() {
    box.hidden = true;
    closed();
  }
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !sure.open) close();
  });
  return {
    close,
    open() {
      box.hidden = false;
      refresh();
      box.querySelector(".back").focus();
    },
    get shown() {
      return !box.hidden;
    },
    refresh,
  };
}
