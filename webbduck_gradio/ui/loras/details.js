// @ts-check
// The LoRA dialog: metadata of its file, the user's notes, and pictures made with it.
import { publish } from "../shared/bus.js";
import { copyText } from "../shared/clipboard.js";
import { button, h, home, put, setHidden } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { architectureName, blockedReason } from "../shared/lora_fit.js";
import { numberField, readNumber } from "../shared/numbers.js";
import { bareName, originBadge } from "../shared/origins.js";
import { callServer } from "../shared/server_call.js";
import { openTab } from "../shared/tabs.js";
import { thumbUrl } from "../shared/urls.js";
import { badge, copyButton, distilledBadge } from "./parts.js";

/**
 * The dialog of one LoRA. `edit` saves changes; `base()` returns the selected checkpoint.
 *
 * @param {any} actions
 */
export function makeDetails({ server, edit, base, previewUrl, addToStudio }) {
  let opened = null;
  const sheet = h("div", { class: "sheet" });
  const dialog = h(
    "dialog",
    { class: "lora-details", "aria-label": "LoRA" },
    sheet,
    button("×", () => dialog.close(), { class: "close", "aria-label": "Close" }),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    opened = null;
  });
  home().append(dialog);

  /** The preview; nothing where there is none, or before it has loaded. */
  function hero(lora) {
    const place = h("div", { class: "hero", hidden: true });
    const image = h("img", { alt: "", onload: () => setHidden(place, false) });
    image.src = previewUrl(lora);
    place.append(image);
    return place;
  }

  async function open(name) {
    opened = name;
    if (!dialog.open) {
      put(sheet, h("p", { class: "muted" }, "Reading the file"));
      dialog.showModal();
    }
    const found = await callServer(() => server.webbduck_lora(name));
    if (opened !== name) return;
    if (found.error) put(sheet, h("p", { class: "problem" }, found.error));
    else details(found);
  }

  function details({ lora, note, said, pictures }) {
    const status = h("p", { class: "form-status muted", role: "status" });
    const change = async (changes, text) => {
      const seen = Object.fromEntries(
        Object.keys(changes)
          .filter((key) => key !== "favourite")
          .map((key) => [key, note[key] ?? null]),
      );
      const done = await edit(lora.name, changes, seen);
      if (opened !== lora.name) return;
      // Keep what was typed. After a conflict the error shows the other change, which the next save may
      // replace.
      if (done.error) {
        status.textContent = done.error;
        status.classList.add("problem");
        if (done.note) note = done.note;
        return;
      }
      details(done);
      sheet.querySelector(".form-status").textContent = text;
    };
    const trigger = h("input", {
      name: "trigger",
      type: "text",
      value: note.trigger ?? "",
      placeholder: lora.trigger || "None",
    });
    const weight = numberField(
      h("input", {
        name: "weight",
        type: "text",
        class: "typed-number",
        value: note.weight ?? "",
        placeholder: String(lora.weight),
      }),
      { step: 0.05, least: -2, most: 2 },
    );
    const about = h("textarea", {
      name: "description",
      rows: "3",
      placeholder: note.description ? "" : lora.description || "What it is for",
    });
    about.value = note.description ?? "";
    const typed = () => ({
      trigger: trigger.value.trim() || null,
      weight: readNumber(weight.value).value,
      description: about.value.trim() || null,
    });
    const shown = typed();
    const form = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          const { problem } = readNumber(weight.value);
          if (problem) {
            status.textContent = `The weight ${problem}.`;
            status.classList.add("problem");
            return;
          }
          const changes = Object.fromEntries(
            Object.entries(typed()).filter(([key, value]) => value !== shown[key]),
          );
          if (Object.keys(changes).length) change(changes, "Saved to loras.json.");
          else {
            status.textContent = "No changes.";
            status.classList.remove("problem");
          }
        },
      },
      h("label", {}, "Trigger phrase", trigger),
      h("label", {}, "Default weight", weight),
      h("label", { class: "wide" }, "Description", about),
      h("p", { class: "muted wide" }, "Empty fields use the values in the file."),
      h("div", { class: "actions wide" }, h("button", { type: "submit" }, "Save")),
    );
    const model = base();
    const incompatible = blockedReason(lora, model);
    const facts = [
      ["Size", bytes(lora.size_bytes)],
      ["Date", new Date(lora.modified * 1000).toLocaleString()],
      ["AutoV3", lora.hash ?? (lora.reason ? "not computed" : "being computed")],
      ["Rank", said?.rank],
      ["Tensors", said?.tensors],
      ["Base model", lora.base],
      ...Object.entries(said?.facts ?? {}),
    ].filter(([, value]) => value !== null && value !== undefined && value !== "");
    put(
      sheet,
      hero(lora),
      h("h2", { title: lora.name }, bareName(lora)),
      h(
        "p",
        { class: "badges" },
        originBadge(lora),
        badge(architectureName(lora)),
        lora.kind === "unknown" ? null : badge(lora.kind),
        lora.from_hub ? badge("Hugging Face cache") : null,
        distilledBadge(lora),
      ),
      incompatible ? h("p", { class: "why" }, incompatible) : null,
      h(
        "div",
        { class: "actions" },
        incompatible
          ? null
          : button(
              "Add to Studio",
              () => {
                dialog.close();
                addToStudio(lora);
              },
              { class: "primary" },
            ),
        lora.trigger ? copyButton(lora.trigger, "Copy trigger words") : null,
        button(
          [icon("heart"), "Favourite"],
          () =>
            change(
              { favourite: !lora.favourite },
              lora.favourite ? "No longer a favourite." : "Marked as favourite.",
            ),
          { class: "favourite", "aria-pressed": String(lora.favourite) },
        ),
        button(
          "Use the latest picture",
          () => change({ preview: "last" }, "The preview is now the latest picture."),
          { title: "Make the latest picture made with it its preview" },
        ),
        note.preview
          ? button("Reset the preview", () => change({ preview: null }, "The preview was reset."))
          : null,
      ),
      status,
      form,
      lora.notes ? h("section", {}, h("h3", {}, "Notes"), h("p", { class: "text" }, lora.notes)) : null,
      said?.tags.length
        ? h(
            "section",
            {},
            h("h3", {}, "Training tags"),
            tagList(said.tags),
            said.more_tags
              ? h("p", { class: "muted" }, `${said.more_tags} less frequent tags are not shown.`)
              : null,
          )
        : null,
      h(
        "section",
        {},
        h("h3", {}, "File"),
        h(
          "dl",
          { class: "details" },
          facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]),
        ),
      ),
      said && Object.keys(said.metadata).length
        ? h(
            "details",
            {},
            h("summary", {}, "All metadata"),
            h("pre", {}, JSON.stringify(said.metadata, null, 1)),
            said.left_out ? h("p", { class: "muted" }, said.left_out) : null,
          )
        : null,
      h(
        "section",
        {},
        h("h3", {}, "Pictures made with it"),
        pictures.length
          ? h(
              "div",
              { class: "made" },
              pictures.map((id, index) =>
                h(
                  "button",
                  {
                    type: "button",
                    "aria-label": `Open picture ${index + 1} of ${pictures.length}`,
                    onclick: () => {
                      dialog.close();
                      openTab("gallery");
                      publish("show", { image: id });
                    },
                  },
                  h("img", { src: thumbUrl(id), alt: "", loading: "lazy" }),
                ),
              ),
            )
          : h("p", { class: "muted" }, "None yet."),
      ),
    );
    if (!lora.hash && !lora.reason) {
      setTimeout(() => {
        if (opened === lora.name && dialog.open && !sheet.contains(document.activeElement?.closest("form"))) {
          refreshHash(lora.name);
        }
      }, 2000);
    }
  }

  /** Poll until the hash is known, and show it without redrawing the form. */
  async function refreshHash(name) {
    const found = await callServer(() => server.webbduck_lora(name));
    if (opened !== name || found.error) return;
    const place = [...sheet.querySelectorAll("dt")].find(
      (each) => each.textContent === "AutoV3",
    )?.nextElementSibling;
    if (found.lora.hash && place) place.textContent = found.lora.hash;
    else {
      setTimeout(() => {
        if (opened === name) refreshHash(name);
      }, 3000);
    }
  }

  function tagList(tags) {
    const list = h("p", { class: "chips" });
    const most = 40;
    const show = (some) =>
      put(
        list,
        some.map(([tag, times]) =>
          button(`${tag} ${times}`, (event) => copyText(tag, event.currentTarget), {
            class: "chip",
            title: "Copy",
          }),
        ),
        some.length < tags.length
          ? button(`${tags.length - some.length} more`, () => show(tags), { class: "quiet" })
          : null,
      );
    show(tags.slice(0, most));
    return list;
  }

  return { open };
}
