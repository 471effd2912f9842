// @ts-check
// The lightbox's panel: a picture's metadata and the actions on it.
import { copyText } from "../shared/clipboard.js";
import { h, put } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { upscaleMenu } from "../shared/upscale_menu.js";
import { thumbUrl } from "../shared/urls.js";
import { countVariants, variantName } from "../shared/variants.js";
import { makeActions } from "./panel_actions.js";

const TOOLS = {
  a1111: "A1111",
  comfyui: "ComfyUI",
  fooocus: "Fooocus",
  invokeai: "InvokeAI",
  novelai: "NovelAI",
  swarmui: "SwarmUI",
};

/** "2 times by Lanczos, from RUN/0.png", and how its details were drawn. */
function upscaledBy({ scale, upscaler, from, redraw }) {
  const text = `${scale} times by ${upscaler ?? "Lanczos"}, from ${from}`;
  if (!redraw) return text;
  const { tile_size: tile, strength, drawing } = redraw;
  const by = `redrawn by ${drawing.base_model} in tiles of ${tile} px at strength ${strength}`;
  return `${text}; ${by}${drawing.prompt ? `: ${drawing.prompt}` : ""}`;
}

/** `act(name, more)` performs the action of a button, `upscalers()` answers what the upscale menu offers. */
export function makePanel(panel, { act, open, compare, upscalers }) {
  const upscale = h(
    "button",
    { type: "button", class: "g-act", title: "Save an upscaled copy beside the picture" },
    "Upscale",
  );
  upscaleMenu(upscale, { list: upscalers, start: (asked) => act("make", { what: "upscale", ...asked }) });
  const copyButton = (text, what) =>
    h(
      "button",
      {
        type: "button",
        class: "g-copy",
        title: `Copy ${what}`,
        "aria-label": `Copy ${what}`,
        onclick: (event) => copyText(text, event.currentTarget, icon("tick")),
      },
      icon("copy"),
    );
  const text = (title, value, more) =>
    h(
      "section",
      { class: `g-text ${more}` },
      h("h4", {}, title, value ? copyButton(value, title.toLowerCase()) : null),
      h(more === "prompt" ? "h3" : "p", {}, value || "(no prompt)"),
    );

  function rowsOf(rows) {
    const copied = new Set(["Seed", "Checkpoint hash"]);
    return h(
      "dl",
      {},
      rows.flatMap(([name, value]) => [
        h("dt", {}, name),
        h("dd", {}, value, copied.has(name) ? copyButton(value, name.toLowerCase()) : null),
      ]),
    );
  }

  const actions = makeActions(act, upscale);

  /** Links to the upscaled images, or to the original of an upscaled one. */
  function variants(found) {
    const ids = [
      ...(found.original ? [found.original] : []),
      ...found.variants.filter((id) => id !== found.id),
    ];
    if (!ids.length) return null;
    return h(
      "section",
      { class: "g-copies" },
      h("h4", {}, found.original ? "Original, upscaled images and stages" : countVariants(ids)),
      ids.map((id) =>
        h(
          "div",
          { class: "g-acts" },
          h(
            "button",
            { type: "button", class: "g-mini", title: `Open ${id}`, onclick: () => open(id) },
            h("img", { src: thumbUrl(id), alt: "" }),
          ),
          h(
            "span",
            { class: "name" },
            `${id.split("/").at(-1)}${found.original === id ? "" : `, ${variantName(id)}`}`,
          ),
          h("button", { type: "button", class: "g-act", onclick: () => compare(id) }, "Compare"),
        ),
      ),
    );
  }

  function notes(title, list, kind) {
    return list?.length
      ? h(
          "section",
          { class: `g-notes ${kind}` },
          h("h4", {}, title),
          list.map((each) => h("p", {}, each)),
        )
      : null;
  }

  function show(found, caption) {
    const file = found.file;
    const up = found.upscaled;
    put(
      panel,
      text("Prompt", found.prompt, "prompt"),
      found.drawn ? text("Resolved prompt", found.drawn, "drawn") : null,
      found.negative_prompt ? text("Negative prompt", found.negative_prompt, "negative") : null,
      h("div", { class: "g-caption", hidden: !caption }, caption ? captionOf(caption) : null),
      h("div", { class: "actions" }, actions.all(found)),
      notes("Warnings", found.warnings, "warning"),
      notes("Notes", found.information, "information"),
      notes("Unreadable metadata", found.problems, "warning"),
      h(
        "section",
        {},
        h(
          "h4",
          {},
          found.tool && !found.tool.startsWith("webbduck")
            ? `Settings, from ${TOOLS[found.tool] ?? found.tool}`
            : "Settings",
          found.parameters ? copyButton(found.parameters, "all settings") : null,
        ),
        found.rows.length
          ? rowsOf(found.rows)
          : h("p", { class: "muted" }, "The picture has no generation metadata."),
      ),
      found.raw
        ? h(
            "section",
            {},
            h("h4", {}, "Metadata text", copyButton(found.raw, "the text")),
            h("pre", {}, found.raw),
          )
        : null,
      variants(found),
      h(
        "section",
        {},
        h("h4", {}, "File"),
        rowsOf([
          ["Name", found.id],
          ["Size", `${file.width} × ${file.height} px, ${bytes(file.size_bytes)}`],
          ["Format", file.format ?? "unknown"],
          ["Modified", new Date(file.modified * 1000).toLocaleString()],
          ...(up ? [["Upscaled", upscaledBy(up)]] : []),
        ]),
        h(
          "dl",
          {},
          h("dt", {}, "SHA-256"),
          h("dd", { class: "hash" }, file.sha256, copyButton(file.sha256, "hash")),
        ),
      ),
    );
    panel.scrollTop = 0;
  }

  const captionOf = (value) =>
    h(
      "section",
      { class: "g-text" },
      h("h4", {}, "Caption", copyButton(value, "the caption")),
      h("p", {}, value),
      h(
        "button",
        {
          type: "button",
          class: "g-act",
          title: "Put it into the Studio's prompt",
          onclick: () => act("caption", { text: value }),
        },
        "Use as prompt",
      ),
    );

  /** Show a table of the settings that differ between two pictures. */
  function differences(one, other) {
    const table = (found) =>
      new Map([
        ["Prompt", found.prompt],
        ["Negative prompt", found.negative_prompt],
        ...grouped(found.rows),
        ["File", `${found.file.width} × ${found.file.height} px, ${bytes(found.file.size_bytes)}`],
      ]);
    const [a, b] = [table(one), table(other)];
    const names = [...new Set([...a.keys(), ...b.keys()])].filter(
      (name) => (a.get(name) ?? "") !== (b.get(name) ?? ""),
    );
    put(
      panel,
      h(
        "section",
        { class: "g-differences" },
        h("h4", {}, "Differences"),
        names.length
          ? h(
              "table",
              {},
              h(
                "thead",
                {},
                h(
                  "tr",
                  {},
                  h("td", {}),
                  h("th", { scope: "col" }, "Left"),
                  h("th", { scope: "col" }, "Right"),
                ),
              ),
              h(
                "tbody",
                {},
                names.map((name) =>
                  h(
                    "tr",
                    {},
                    h("th", { scope: "row" }, name),
                    h("td", {}, a.get(name) || "none"),
                    h("td", {}, b.get(name) || "none"),
                  ),
                ),
              ),
            )
          : h("p", { class: "muted" }, "All settings are the same."),
      ),
      h(
        "p",
        { class: "muted" },
        "Drag the line, or move it with the arrow keys. Select another picture for the right side below.",
      ),
    );
  }
  const grouped = (rows) =>
    rows.reduce(
      (found, [name, value]) => found.set(name, found.has(name) ? `${found.get(name)}, ${value}` : value),
      new Map(),
    );

  return {
    show,
    differences,
    message: (text) => put(panel, h("p", { class: "muted" }, text)),
    /** Show an error; with `id`, also the actions that still work on the file. */
    fail: (text, id = null) =>
      put(
        panel,
        h("p", { class: "problem", role: "alert" }, text),
        id ? h("div", { class: "actions" }, h("p", { class: "muted" }, id), actions.ofFile(id)) : null,
      ),
    caption(value) {
      const box = panel.querySelector(".g-caption");
      if (box) {
        put(box, captionOf(value));
        box.hidden = false;
      }
    },
  };
}
