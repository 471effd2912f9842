// @ts-check
// The dialog "Model folders": other programs' folders whose models are used where they lie.
import { subscribe } from "../shared/bus.js";
import { button, h, home, put, setHidden, setText } from "../shared/dom.js";
import { callServer } from "../shared/server_call.js";
import { toast } from "../shared/toast.js";
import { countsText } from "./model_counts.js";

const ABOUT =
  "Models of other programs are used where they lie. Their files are only read: nothing in these folders " +
  "is changed, moved or deleted.";
const NONE = "No folders yet.";

let refresh = () => {};
subscribe("catalog", () => refresh());

/** @param {any} anchor @param {any} server */
export function openModelFolders(anchor, server) {
  const list = h("ul", { class: "model-folders" });
  const status = h("p", { class: "model-folders-status", role: "status" });
  const path = h("input", {
    type: "text",
    "aria-label": "Path of a folder",
    placeholder: "Path, such as /home/me/ComfyUI",
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    oninput: () => found(null),
  });
  const check = h("button", { type: "submit" }, "Check");
  const result = h("div", { class: "model-folder-found", role: "status" });
  const likely = h("div", { class: "model-folders-likely" });
  const form = h(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        if (path.value.trim()) checkPath();
      },
    },
    h("h3", {}, "Add a folder"),
    h("div", { class: "model-folders-path" }, path, check),
    result,
    likely,
  );
  const refused = h("p", { class: "model-folders-refused", hidden: true });
  const dialog = h(
    "dialog",
    { class: "plain-dialog model-folders-dialog", "aria-label": "Model folders" },
    h("h2", {}, "Model folders"),
    h("p", {}, ABOUT),
    list,
    status,
    refused,
    form,
    button("×", () => dialog.close(), { class: "close", "aria-label": "Close" }),
  );

  /**
   * Call the server and show the folders as they are then. An `error` of the answer is shown in the dialog,
   * or as a toast once that is closed.
   */
  async function ask(action, more = {}) {
    const answer = await callServer(() => server.webbduck_model_folders({ action, ...more }));
    if (answer.error && !dialog.open) toast(answer.error);
    setText(status, answer.error ?? "");
    if (answer.folders) draw(answer);
    return answer;
  }

  function draw({ folders, suggestions, refusal }) {
    put(list, folders.length ? folders.map(row) : h("li", { class: "muted" }, NONE));
    setText(refused, refusal ?? "");
    setHidden(refused, !refusal);
    setHidden(form, Boolean(refusal));
    put(
      likely,
      suggestions.length ? h("p", { class: "muted" }, "Found on this computer:") : null,
      suggestions.map((each) =>
        button(each, () => {
          path.value = each;
          checkPath();
        }),
      ),
    );
  }

  function row(folder) {
    const { label, program, folder: place, given, problems } = folder;
    return h(
      "li",
      { "data-label": label },
      h(
        "div",
        {},
        h("h3", {}, label, label.startsWith(program) ? null : h("small", {}, program)),
        place ? h("code", {}, place) : null,
        h("p", {}, countsText(folder)),
        problems.map((each) => h("p", { class: "why" }, each)),
        given ? h("p", { class: "muted" }, "Given by --models-from when the studio was started.") : null,
      ),
      given ? null : button("Remove", () => remove(folder), { "aria-label": `Remove ${label}` }),
    );
  }

  /** Show what was found at the path, with its name and the button that adds it; null for nothing. */
  function found(folder) {
    const name = h("input", {
      type: "text",
      value: folder?.label ?? "",
      maxlength: 60,
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      onkeydown: (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault(); // which would look at the path again
        add(folder, name.value.trim());
      },
    });
    put(
      result,
      folder && [
        h("p", {}, h("b", {}, nameOf(folder)), ` · ${countsText(folder)}`),
        folder.problems.map((each) => h("p", { class: "why" }, each)),
        h("label", {}, "Name, before those of its models", name),
        button("Add", () => add(folder, name.value.trim()), {
          class: "primary",
          "aria-label": `Add ${nameOf(folder)}`,
        }),
      ],
    );
  }
  const nameOf = ({ program, label }) => (program === "folder" ? label : program);

  async function checkPath() {
    const asked = path.value;
    put(result, h("p", { class: "muted" }, "Looking at the folder"));
    const answer = await ask("check", { path: asked });
    if (path.value !== asked) return;
    found(answer.checked ?? null);
    result.querySelector("button")?.focus();
  }

  async function add(folder, name) {
    put(result, h("p", { class: "muted" }, "Reading the models"));
    const answer = await ask("add", { path: folder.folder, label: name === folder.label ? "" : name });
    if (answer.error) {
      found({ ...folder, label: answer.label ?? name });
      result.querySelector("input").focus();
      return;
    }
    found(null);
    path.value = "";
    path.focus();
    const { label } = answer.added;
    toast(`${label} added: ${countsText(answer.added)}.`, () => ask("remove", { label }));
  }

  async function remove({ label, folder: place }) {
    const answer = await ask("remove", { label });
    if (answer.error) return;
    (list.querySelector("button") ?? path).focus();
    toast(`${label} removed; its files stay as they are.`, () => ask("add", { path: place, label }));
  }

  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    refresh = () => {};
    dialog.remove();
    anchor.focus();
  });
  home().append(dialog);
  dialog.showModal();
  path.focus();
  ask("list");
  refresh = () => ask("list");
}
