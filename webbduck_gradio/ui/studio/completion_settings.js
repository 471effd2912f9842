// @ts-check
// The dialog "Completion while typing": which words are completed in this browser, and where tags come from.
import { last, subscribe } from "../shared/bus.js";
import { copyText } from "../shared/clipboard.js";
import { button, h, home, put } from "../shared/dom.js";
import { chooseCompletion, completionChoices } from "./completion_choices.js";

const KINDS = [
  ["lora", "LoRAs", "after <lora:"],
  ["wildcard", "Wildcards", "after __"],
  ["embedding", "Embeddings", "by their names, or after embedding:"],
  ["style", "Styles", "by their names; one that is taken is added to the styles"],
  ["tag", "Tags", "from lists of your own"],
];

const content = h("div", {});
const dialog = h(
  "dialog",
  { class: "plain-dialog completion-dialog", "aria-label": "Completion while typing" },
  h("h2", {}, "Completion while typing"),
  content,
  button("×", () => dialog.close(), { class: "close", "aria-label": "Close" }),
);
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
subscribe("catalog", () => dialog.open && draw());

export function showCompletionSettings() {
  if (!dialog.isConnected) home().append(dialog);
  draw();
  if (!dialog.open) dialog.showModal();
}

function draw() {
  const choices = completionChoices();
  const { completion, folders, tools } = last.get("catalog") ?? {};
  const check = (name, text, about, disabled = false) =>
    h(
      "label",
      { class: "menu-check" },
      h("input", {
        type: "checkbox",
        checked: choices[name],
        disabled,
        name,
        onchange: (event) => {
          chooseCompletion(name, event.target.checked);
          draw();
          content.querySelector(`[name=${name}]`).focus();
        },
      }),
      h("span", {}, text, about ? h("small", {}, about) : null),
    );
  put(
    content,
    check(
      "on",
      "Complete words while I type",
      "↓ marks an entry, Tab takes the marked or the first, Esc closes.",
    ),
    h(
      "fieldset",
      {},
      h("legend", { class: "visually-hidden" }, "Which words"),
      KINDS.map(([name, text, about]) => check(name, text, about, !choices.on)),
      check(
        "underscores",
        "Keep underscores in tags",
        "long_hair instead of long hair",
        !choices.on || !choices.tag,
      ),
    ),
    completion ? tagFiles(completion.tags, tools, folders.tags) : null,
  );
}

/** What is in the folder of tags, and what to put there. */
function tagFiles({ count, known }, tools, folder) {
  const files = tools.find(({ title }) => title === "Tags")?.models ?? [];
  const total = count.toLocaleString("en");
  const all =
    known > count ? `The ${total} most frequent of ${known.toLocaleString("en")} tags` : `${total} tags`;
  return h(
    "section",
    { class: "tag-files" },
    h(
      "p",
      {},
      count
        ? `${all} are completed. More lists go into this folder:`
        : "There are no tags yet. Put a list into this folder, a CSV file with rows " +
            "tag,category,count,aliases, such as danbooru.csv of a1111-sd-webui-tagcomplete; " +
            "it appears here by itself.",
    ),
    h(
      "p",
      { class: "folder" },
      h("code", {}, folder),
      button("Copy", (event) => copyText(folder, event.currentTarget), {
        class: "quiet",
        "aria-label": `Copy the path ${folder}`,
      }),
    ),
    files.length
      ? h(
          "ul",
          {},
          files.map(({ name, detail, reason }) =>
            reason
              ? h("li", { class: "problem" }, reason)
              : h("li", {}, h("b", {}, `${name}.csv`), ` ${detail}`),
          ),
        )
      : null,
  );
}
