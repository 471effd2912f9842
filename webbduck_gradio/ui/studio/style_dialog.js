// @ts-check
// The dialog of the styles: search, choose, and edit them.
import { last, subscribe } from "../shared/bus.js";
import { button, h, home, put, setText } from "../shared/dom.js";
import { bareName, nameWithOrigin } from "../shared/origins.js";
import { callOrToast } from "../shared/server_call.js";
import { toast } from "../shared/toast.js";
import { search } from "./style_texts.js";

/** More are named, not listed, so that thousands of styles stay fast. */
const MOST_SHOWN = 100;
const EMPTY =
  "No styles yet. Save the current prompt as one, or put AUTOMATIC1111's styles.csv beside app.py; it " +
  "appears here automatically.";

let redraw = () => {};
subscribe("style-list", () => redraw());

/**
 * @param {any} anchor
 * @param {{server: Record<string, (value?: any) => Promise<any>>, most: number, list: () => any[],
 *   prompts: () => {prompt: string, negative_prompt: string}, chosen: () => string[],
 *   choose: (name: string, yes: boolean) => void, renamed: (from: string, to: string) => void,
 *   reload: () => Promise<void>}} options
 */
export function openStyles(anchor, { server, most, list, prompts, chosen, choose, renamed, reload }) {
  const box = h("input", {
    type: "search",
    placeholder: "Search styles",
    "aria-label": "Search styles",
    autocomplete: "off",
  });
  const found = h("ul", { class: "style-list" });
  const count = h("p", { class: "style-count", role: "status" });
  const file = h("input", { type: "file", accept: ".csv,.json", hidden: true, onchange: importFile });
  const editor = h("form", { class: "style-editor", method: "dialog", hidden: true });
  const browser = h(
    "div",
    { class: "style-browser" },
    box,
    count,
    found,
    h(
      "div",
      { class: "style-buttons" },
      button("New from prompt", () => edit({ name: "", ...prompts() }, null)),
      button("Import", () => file.click(), { title: "A styles.csv, or Fooocus' JSON" }),
      button("Done", () => dialog.close(), { class: "primary" }),
      file,
    ),
  );
  const dialog = h(
    "dialog",
    { class: "plain-dialog styles-dialog", "aria-label": "Styles" },
    h("h2", {}, "Styles"),
    browser,
    editor,
    button("×", () => dialog.close(), { class: "close", "aria-label": "Close" }),
  );

  // -- choosing ----------------------------------------------------------------------------------------

  function line(each) {
    const names = chosen();
    const isChosen = names.includes(each.name);
    const check = h("input", {
      type: "checkbox",
      checked: isChosen,
      disabled: !isChosen && (Boolean(each.reason) || names.length >= most),
      onchange: () => {
        choose(each.name, check.checked);
        draw();
      },
    });
    const texts = [each.prompt, each.negative_prompt && `Negative: ${each.negative_prompt}`];
    return h(
      "li",
      { "data-name": each.name },
      h(
        "label",
        {},
        check,
        each.preview ? h("img", { src: each.preview, alt: "", loading: "lazy" }) : null,
        h(
          "span",
          {},
          h("b", { title: each.name }, nameWithOrigin(each)),
          h(
            "small",
            { class: each.reason ? "reason" : "" },
            each.reason ?? texts.filter(Boolean).join(" · "),
          ),
        ),
      ),
      // Those of other programs stay as they are.
      each.origin
        ? button("Copy", () => edit({ ...each, name: bareName(each) }, null), {
            "aria-label": `Copy ${each.name}`,
          })
        : button("Edit", () => edit(each, each.name), { "aria-label": `Edit ${each.name}` }),
    );
  }

  /** Redraw the list; the focus stays on its style. */
  function draw() {
    const all = list();
    const matching = search(all, box.value);
    const shown = matching.slice(0, MOST_SHOWN);
    const focused = /** @type {any} */ (document.activeElement)?.closest(".style-list li")?.dataset.name;
    const lines = [];
    let group = "";
    for (const each of shown) {
      if (!box.value.trim() && each.group !== group) {
        group = each.group;
        if (group) lines.push(h("li", { class: "style-group" }, group));
      }
      lines.push(line(each));
    }
    put(found, lines);
    if (focused) found.querySelector(`[data-name="${CSS.escape(focused)}"] input`)?.focus();
    const more = matching.length - shown.length;
    const taken = chosen().length;
    setText(
      count,
      !all.length
        ? EMPTY
        : !matching.length
          ? "No style matches."
          : (taken >= most ? `At most ${most} styles can be chosen. ` : `${taken} chosen. `) +
            (more ? `${more.toLocaleString("en")} more; refine the search.` : ""),
    );
  }

  // -- editing -----------------------------------------------------------------------------------------

  function edit(style, replacing) {
    const field = (name, label, control) => h("label", {}, h("span", {}, label), control);
    const name = h("input", { type: "text", maxlength: "255", autocomplete: "off" });
    const prompt = h("textarea", { rows: "4" });
    const negative = h("textarea", { rows: "2" });
    name.value = style.name;
    prompt.value = style.prompt;
    negative.value = style.negative_prompt;
    const keep = async (over) => {
      const asked = { name: name.value, prompt: prompt.value, negative_prompt: negative.value };
      const made = await callOrToast(() => server.webbduck_save_style({ ...asked, replacing: over }));
      if (!made) return;
      const saved = asked.name.trim().replace(/\s+/g, " ");
      if (over !== null && over !== saved) renamed(over, saved);
      await after("Style saved.", made.change);
    };
    const picture = async () => {
      const asked = { name: replacing, image: last.get("shown") };
      if (await callOrToast(() => server.webbduck_style_picture(asked))) await after("Preview set.", null);
    };
    const drop = async () => {
      const made = await callOrToast(() => server.webbduck_delete_style({ name: replacing }));
      if (!made) return;
      choose(replacing, false);
      await after("Style deleted.", made.change);
    };
    put(
      editor,
      field("name", "Name", name),
      field("prompt", "Prompt", prompt),
      field("negative_prompt", "Negative prompt", negative),
      h("p", { class: "hint" }, "{prompt} is where the prompt goes; without it the text is appended."),
      h(
        "div",
        { class: "style-buttons" },
        button("Back", () => browse()),
        replacing === null || !last.get("shown")
          ? null
          : button("Set preview", picture, { title: "The picture that is shown becomes its preview" }),
        replacing === null ? null : button("Delete", drop),
        replacing === null ? null : button("Save as new", () => keep(null)),
        h("button", { type: "submit", class: "primary" }, "Save"),
      ),
    );
    editor.onsubmit = (event) => {
      event.preventDefault();
      keep(replacing);
    };
    browser.hidden = true;
    editor.hidden = false;
    name.focus();
  }

  function browse() {
    editor.hidden = true;
    browser.hidden = false;
    draw();
    box.focus();
  }

  async function after(text, change) {
    await reload();
    browse();
    if (change === null) toast(text);
    else {
      toast(text, async () => {
        if (await callOrToast(() => server.webbduck_undo_styles({ change }))) await reload();
      });
    }
  }

  async function importFile() {
    const [given] = file.files;
    file.value = "";
    if (!given) return;
    const text = await given.text();
    const made = await callOrToast(() => server.webbduck_import_styles({ text }));
    if (!made) return;
    const few = made.taken.slice(0, 3).join(", ");
    const taken = made.taken.length
      ? ` ${made.taken.length} left out, since there are others of these names: ${few}.`
      : "";
    await after(`${made.added.length} styles imported.${taken}`, made.change);
  }

  // -- events ------------------------------------------------------------------------------------------

  box.oninput = draw;
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter" && event.target === box) {
      event.preventDefault();
      found.querySelector("input:enabled")?.click();
    } else if (by && (event.target === box || event.target.type === "checkbox")) {
      event.preventDefault();
      const stops = [box, ...found.querySelectorAll("input:enabled")];
      stops[Math.max(0, Math.min(stops.length - 1, stops.indexOf(event.target) + by))].focus();
    }
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    redraw = () => {};
    dialog.remove();
    anchor.focus();
  });
  redraw = () => {
    if (!browser.hidden) draw();
  };
  draw();
  home().append(dialog);
  dialog.showModal();
  box.focus();
}
