// @ts-check
// The dialog "Wildcards": the files with lists of words, each to be edited, renamed, deleted, and restored.
import { button, h, home, put, setHidden, setText } from "../shared/dom.js";
import { nameWithOrigin } from "../shared/origins.js";
import { callServer } from "../shared/server_call.js";
import { toast } from "../shared/toast.js";

const values = (count) => (count === 1 ? "1 value" : `${count.toLocaleString("en")} values`);

/** @param {any} anchor @param {any} server */
export function openEditor(anchor, server) {
  /** The open file as it was read, or null. @type {{file: string, text: string, stamp: string} | null} */
  let opened = null;
  let files = [];

  const message = h("p", { class: "wildcard-message", role: "status" });
  const search = h("input", { type: "search", "aria-label": "Search the files", placeholder: "Search" });
  const list = h("ul", { class: "wildcard-files" });
  const title = h("input", { type: "text", "aria-label": "Name of the file", spellcheck: "false" });
  const text = h("textarea", {
    "aria-label": "Content of the file",
    rows: "12",
    spellcheck: "false",
    placeholder: "One value in each line. # begins a comment, 0.5:: before a value is its weight.",
  });
  const save = button("Save", saveFile, { class: "strong" });
  const rename = button("Rename", renameFile);
  const remove = button("Delete", deleteFile);
  const back = button("‹ All files", () => leave(), { class: "back" });
  const editor = h(
    "div",
    { class: "wildcard-editor" },
    back,
    title,
    text,
    h("div", { class: "wildcard-buttons" }, save, rename, remove),
  );
  const create = button("New file", () => leave() && edit({ file: "", text: "", stamp: "" }));
  const browser = h(
    "div",
    { class: "wildcard-browser" },
    h("div", { class: "wildcard-top" }, search, create),
    list,
  );
  const dialog = h(
    "dialog",
    { class: "plain-dialog wildcard-dialog wildcard-panel", "aria-label": "Wildcards" },
    h("h2", {}, "Wildcards"),
    message,
    h("div", { class: "wildcard-parts" }, browser, editor),
    button("×", () => leave() && dialog.close(), { class: "close", "aria-label": "Close" }),
  );

  const isChanged = () => opened !== null && (text.value !== opened.text || title.value !== opened.file);
  const isNew = () => opened?.stamp === "";
  /** The label of the other program's folder that the open file lies in, "" for the studio's own. */
  const origin = () => files.find(({ file }) => file === opened?.file)?.origin ?? "";

  /** Call the server; null after an error, which is shown. */
  async function ask(action, more = {}) {
    const found = await callServer(() => server.webbduck_wildcards({ action, ...more }));
    setText(message, found.error ?? "");
    if (found.error && !dialog.open) toast(found.error);
    if (found.error) return null;
    if (found.files) {
      files = found.files;
      draw();
    }
    return found;
  }

  function draw() {
    const wanted = search.value.trim().toLowerCase();
    const shown = files.filter(
      (each) =>
        each.file.toLowerCase().includes(wanted) ||
        each.lists.some(({ name }) => name.toLowerCase().includes(wanted)),
    );
    const entries = shown
      .slice(0, 500)
      .map((each) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              "aria-current": opened?.file === each.file ? "true" : null,
              onclick: () => open(each.file),
            },
            h("span", {}, nameWithOrigin({ name: each.file, origin: each.origin })),
            h(
              "span",
              { class: "muted" },
              each.reason ?? values(each.lists.reduce((sum, one) => sum + one.values, 0)),
            ),
          ),
        ),
      );
    const nothing = files.length ? "No file has this name." : "There are no wildcards yet; make a new file.";
    put(list, entries.length ? entries : h("li", { class: "muted" }, nothing));
  }

  async function open(file) {
    if (!leave()) return;
    const found = await ask("read", { file });
    if (found) edit(found.opened);
  }

  function edit(file) {
    opened = file;
    title.value = file.file;
    text.value = file.text;
    title.placeholder = "animals/birds.txt";
    layout();
    (isNew() ? title : text).focus();
  }

  /** Close the file; false where unsaved changes are to be kept. */
  function leave() {
    if (isChanged() && (text.value.trim() || !isNew())) {
      setText(message, "The changes are not saved: save them, or press Discard.");
      return false;
    }
    shut();
    return true;
  }

  function shut() {
    opened = null;
    setText(message, "");
    layout();
  }

  const discard = button("Discard", shut, { hidden: true });
  save.after(discard);

  function layout() {
    dialog.classList.toggle("editing", opened !== null);
    for (const each of [title, text]) each.readOnly = Boolean(origin());
    setHidden(save.parentElement, Boolean(origin()));
    if (origin()) setText(message, `This file lies in the folder ${origin()}, which is only read.`);
    setHidden(editor, opened === null);
    setHidden(rename, opened === null || isNew());
    setHidden(remove, opened === null || isNew());
    buttons();
    draw();
  }

  function buttons() {
    setHidden(discard, !isChanged());
    save.disabled = !isChanged() || (isNew() && !title.value.trim());
    rename.disabled = opened === null || title.value.trim() === opened.file || text.value !== opened.text;
  }

  async function saveFile() {
    if (!opened) return;
    if (isNew()) {
      const made = await ask("create", { file: title.value, text: text.value });
      if (made) done(made, `${made.opened.file} saved.`, () => ask("delete", made.opened));
      return;
    }
    const saved = await ask("save", { file: opened.file, text: text.value, stamp: opened.stamp });
    if (!saved) return;
    const { version, opened: now } = saved;
    done(saved, `${now.file} saved.`, () => restore(version, now.stamp));
  }

  async function renameFile() {
    if (!opened) return;
    const before = opened.file;
    const named = await ask("rename", { file: before, to: title.value });
    if (named) {
      done(named, `${before} is now ${named.opened.file}.`, () =>
        ask("rename", { file: named.opened.file, to: before }),
      );
    }
  }

  async function deleteFile() {
    if (!opened) return;
    const { file, stamp } = opened;
    const gone = await ask("delete", { file, stamp });
    if (!gone) return;
    shut();
    toast(`${file} deleted.`, () => restore(gone.version, ""));
  }

  function done(found, said, undo) {
    edit(found.opened);
    toast(said, async () => {
      const undone = await undo();
      if (!undone) return;
      if (undone.opened) edit(undone.opened);
      else shut();
    });
  }

  async function restore(version, stamp) {
    const found = await ask("restore", { version, stamp });
    if (found && dialog.open) edit(found.opened);
    return found;
  }

  search.addEventListener("input", draw);
  title.addEventListener("input", buttons);
  text.addEventListener("input", buttons);
  dialog.addEventListener("cancel", (event) => {
    if (!leave()) event.preventDefault();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog && leave()) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    anchor.focus();
  });
  home().append(dialog);
  layout();
  dialog.showModal();
  search.focus();
  ask("list");
}
