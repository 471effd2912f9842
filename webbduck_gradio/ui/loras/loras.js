// @ts-check
// LoRAs and checkpoints: cards to search and filter, details to read and edit. Text is always text.
import { publish, subscribe } from "../shared/bus.js";
import { copyText } from "../shared/clipboard.js";
import { button, h, home, put } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { architectureName, blockedReason, isCompatible } from "../shared/lora_fit.js";
import { numberField, readNumber } from "../shared/numbers.js";
import { callServer } from "../shared/server_call.js";
import { openTab } from "../shared/tabs.js";
import { loraUrl, thumbUrl } from "../shared/urls.js";

/** @param {GradioView} view */
export default function start({ element, trigger, server }) {
  const find = (selector) => element.querySelector(selector);
  const cards = find(".cards");
  const models = find(".models");
  const problem = find(".problem");
  const missing = find(".missing");
  const count = find(".count");
  const box = find(".find");
  const fit = find(".fit");
  const sort = find(".sort");
  const only = find(".only");
  const NOTHING_CHANGED = "The server did not answer; nothing was changed.";
  let catalog = null;
  let checkpoint = null;
  let gallery = 0;
  let section = "loras";
  let opened = null;

  const base = () => catalog?.checkpoints.find((each) => each.name === checkpoint);
  const date = (seconds) => new Date(seconds * 1000).toLocaleDateString();
  const previewUrl = (lora) => loraUrl(lora.name, lora.preview ?? `g${gallery}`);
  const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);
  const copies = (text, label) =>
    button(
      label,
      (event) => {
        event.stopPropagation();
        copyText(text, event.currentTarget);
      },
      { class: "quiet", title: `Copy “${text}”` },
    );

  function addToStudio({ name, weight }) {
    publish("add-lora", { name, weight });
    openTab("studio");
  }

  // -- LoRAs: the cards --------------------------------------------------------------------------------

  /** The picture over its stand-in, the name's first letter, which stays where there is none. */
  function picture(lora, lazy) {
    const image = h("img", { alt: "", loading: lazy ? "lazy" : null, decoding: "async" });
    image.onerror = () => image.remove();
    image.src = previewUrl(lora);
    return [
      h(
        "span",
        { class: "none", "aria-hidden": "true" },
        [...(lora.name.split("/").pop() || "?")][0].toUpperCase(),
      ),
      image,
    ];
  }

  /** `seen`: what the changed settings were when they were shown, so that nobody's change is written over. */
  async function edit(name, changes, seen = {}) {
    return callServer(() => server.webbduck_edit_lora({ name, changes, seen }), NOTHING_CHANGED);
  }

  function star(lora, after) {
    return button(
      lora.favourite ? "★" : "☆",
      async (event) => {
        event.stopPropagation();
        const done = await edit(lora.name, { favourite: !lora.favourite });
        if (done.error) problem.textContent = done.error;
        else after?.();
      },
      {
        class: "star",
        "aria-pressed": String(lora.favourite),
        "aria-label": `Favourite: ${lora.name}`,
        title: "Favourite",
      },
    );
  }

  function card(lora, model) {
    const why = blockedReason(lora, model);
    return h(
      "article",
      { class: `card${why ? " unusable" : ""}` },
      h(
        "button",
        {
          type: "button",
          class: "pic",
          "aria-label": `Details of ${lora.name}`,
          onclick: () => open(lora.name),
        },
        picture(lora, true),
      ),
      star(lora),
      h("h3", { title: lora.name }, lora.name),
      h(
        "p",
        { class: "badges" },
        badge(architectureName(lora)),
        lora.kind === "unknown" ? null : badge(lora.kind),
        lora.from_hub ? badge("Hugging Face cache") : null,
      ),
      lora.trigger
        ? h(
            "p",
            { class: "trigger" },
            h("b", { title: lora.trigger }, lora.trigger),
            copies(lora.trigger, "Copy"),
          )
        : null,
      why
        ? h("p", { class: "why" }, why)
        : lora.description
          ? h("p", { class: "about" }, lora.description)
          : null,
      lora.tags.length ? h("p", { class: "tags" }, lora.tags.join(" · ")) : null,
      h(
        "footer",
        {},
        h("span", {}, `Weight ${lora.weight}`),
        h("span", {}, bytes(lora.size_bytes)),
        h("span", {}, date(lora.modified)),
        why
          ? null
          : button("Add", () => addToStudio(lora), {
              class: "add",
              "aria-label": `Add ${lora.name} to the Studio`,
              title: "Add to the Studio",
            }),
      ),
    );
  }

  function chosen() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const model = base();
    const found = catalog.loras.filter((lora) => {
      if (only.getAttribute("aria-pressed") === "true" && !lora.favourite) return false;
      if (fit.value === "fits" && model && !lora.reason && !isCompatible(lora, model)) return false;
      if (fit.value.startsWith("arch:") && lora.arch !== fit.value.slice(5)) return false;
      const text =
        `${lora.name} ${lora.trigger} ${lora.tags.join(" ")} ${lora.description} ${lora.kind}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    if (sort.value === "newest") found.sort((one, other) => other.modified - one.modified);
    if (sort.value === "largest") found.sort((one, other) => other.size_bytes - one.size_bytes);
    return found.sort((one, other) => other.favourite - one.favourite);
  }

  function filters() {
    const archs = [...new Set(catalog.loras.map((lora) => lora.arch))].sort();
    const was = fit.value || "fits";
    const model = base();
    put(
      fit,
      h("option", { value: "fits" }, model ? `Fits ${model.name}` : "All that fit"),
      h("option", { value: "all" }, "All architectures"),
      archs.map((arch) => h("option", { value: `arch:${arch}` }, architectureName({ arch }))),
    );
    fit.value = [...fit.options].some((option) => option.value === was) ? was : "fits";
  }

  function nothing() {
    if (!catalog.loras.length) {
      return "No LoRAs yet. Put a .safetensors file into the lora folder; it appears here by itself.";
    }
    return fit.value === "fits" && !box.value
      ? "No LoRA fits this checkpoint. Choose “All architectures” to see the others."
      : "No LoRA matches. Search for less, or choose “All architectures”.";
  }

  /** Only what changed is made anew: a card stays while all that it shows stays. */
  function drawCards() {
    const model = base();
    const known = new Map([...cards.children].map((each) => [each.dataset.key, each]));
    const shown = chosen();
    const nodes = shown.map((lora) => {
      const key = JSON.stringify([lora, model?.name, model?.context, lora.preview ? 0 : gallery]);
      const node = known.get(key) ?? card(lora, model);
      node.dataset.key = key;
      return node;
    });
    put(cards, nodes.length ? nodes : h("p", { class: "nothing" }, nothing()));
    count.textContent =
      shown.length === catalog.loras.length
        ? `${shown.length}`
        : `${shown.length} of ${catalog.loras.length}`;
  }

  // -- Checkpoints -------------------------------------------------------------------------------------

  /** @type {[string, string, number][]} */
  const FIELDS = [
    ["steps", "Steps", 1],
    ["cfg", "CFG", 0.5],
    ["width", "Width, px", 8],
    ["height", "Height, px", 8],
  ];

  function model(each) {
    const noted = (key) => (each.defaults[key] === each.suggested[key] ? "" : each.defaults[key]);
    const inputs = FIELDS.map(([key, label, step]) =>
      h(
        "label",
        {},
        label,
        numberField(
          h("input", {
            type: "text",
            class: "typed-number",
            name: key,
            value: noted(key),
            placeholder: String(each.suggested[key]),
          }),
          { step, least: 0, whole: key !== "cfg" },
        ),
      ),
    );
    const names = catalog.samplers;
    const sampler = h(
      "select",
      { name: "scheduler" },
      h("option", { value: "" }, `${each.suggested.scheduler} (suggested)`),
      names.map((name) => h("option", { value: name }, name)),
    );
    sampler.value = noted("scheduler");
    const said = h("p", { class: "said muted", role: "status" });
    const say = (text, wrong) => {
      said.textContent = text;
      said.classList.toggle("problem", wrong);
    };
    const save = async (changes) => {
      if (!Object.keys(changes).length) return say("Nothing was changed.", false);
      const seen = Object.fromEntries(Object.keys(changes).map((key) => [key, each.defaults[key]]));
      const done = await callServer(
        () => server.webbduck_edit_checkpoint({ name: each.name, changes, seen }),
        NOTHING_CHANGED,
      );
      // What this page saved it has seen, also before the catalog comes back with it.
      if (!done.error) {
        for (const [key, value] of Object.entries(changes)) each.defaults[key] = value ?? each.suggested[key];
      }
      say(done.error ?? "Saved to models.json.", Boolean(done.error));
    };
    const form = h(
      "form",
      {
        class: "defaults",
        onsubmit: (event) => {
          event.preventDefault();
          const read = FIELDS.map(([key, label]) => ({
            key,
            label,
            ...readNumber(form.elements[key].value, key !== "cfg"),
          }));
          const wrong = read.find(({ problem }) => problem);
          if (wrong) return say(`${wrong.label.replace(", px", "")} ${wrong.problem}.`, true);
          const now = [...read.map(({ key, value }) => [key, value]), ["scheduler", sampler.value || null]];
          save(
            Object.fromEntries(
              now.filter(([key, value]) => value !== (noted(key) === "" ? null : noted(key))),
            ),
          );
        },
      },
      inputs,
      h("label", { class: "wide" }, "Sampler", sampler),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "submit" }, "Save defaults"),
        button("Use the Studio’s settings", () => trigger("use_current", { name: each.name })),
        button("Back to suggested", () =>
          save(Object.fromEntries([...FIELDS.map(([key]) => key), "scheduler"].map((key) => [key, null]))),
        ),
      ),
      said,
    );
    const facts = [
      ["Prediction", each.prediction_type + (each.zero_snr ? ", zero terminal SNR" : "")],
      ["Native size", `${each.native_size} px`],
      ["Size", bytes(each.size_bytes)],
      ["Date", date(each.modified)],
      [
        "AutoV2",
        each.hash ??
          (each.layout === "diffusers"
            ? "a folder has none"
            : each.reason
              ? "not computed"
              : "being computed"),
      ],
    ];
    return h(
      "article",
      { class: `card model${each.reason ? " unusable" : ""}` },
      h("h3", {}, each.name),
      h(
        "p",
        { class: "badges" },
        badge(architectureName(each)),
        badge(each.layout === "diffusers" ? "diffusers folder" : "single file"),
        each.from_hub ? badge("Hugging Face cache") : null,
      ),
      each.reason ? h("p", { class: "why" }, each.reason) : null,
      h(
        "dl",
        { class: "details" },
        facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
      ),
      each.reason ? null : h("details", { open: true }, h("summary", {}, "Defaults"), form),
    );
  }

  function drawModels() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = catalog.checkpoints.filter((each) =>
      words.every((word) => `${each.name} ${architectureName(each)}`.toLowerCase().includes(word)),
    );
    const known = new Map([...models.children].map((each) => [each.dataset.key, each]));
    put(
      models,
      shown.length
        ? shown.map((each) => {
            const key = JSON.stringify(each);
            const node = known.get(key) ?? model(each);
            node.dataset.key = key;
            return node;
          })
        : h(
            "p",
            { class: "nothing" },
            catalog.checkpoints.length
              ? "No checkpoint matches."
              : "No checkpoints yet. Put a .safetensors file into checkpoint/sdxl; " +
                  "it appears here by itself.",
          ),
    );
    count.textContent = `${shown.length}`;
  }

  function draw() {
    if (!catalog) return;
    const loras = section === "loras";
    cards.hidden = !loras;
    models.hidden = loras;
    for (const each of [fit, sort, only]) each.hidden = !loras;
    for (const each of element.querySelectorAll(".segments button")) {
      each.setAttribute("aria-pressed", String(each.dataset.section === section));
    }
    if (loras) drawCards();
    else drawModels();
    const file = loras ? "loras.json" : "models.json";
    const gone = catalog.missing?.[file] ?? [];
    const entries = gone.length === 1 ? "an entry" : `${gone.length} entries`;
    const names = gone.slice(0, 20).join(", ") + (gone.length > 20 ? " …" : ".");
    missing.textContent = gone.length ? `${file} has ${entries} without a file: ${names}` : "";
  }

  // -- one LoRA ----------------------------------------------------------------------------------------

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

  async function open(name) {
    opened = name;
    if (!dialog.open) {
      put(sheet, h("p", { class: "muted" }, "Reading its file"));
      dialog.showModal();
    }
    const found = await callServer(() => server.webbduck_lora(name));
    if (opened !== name) return;
    if (found.error) put(sheet, h("p", { class: "problem" }, found.error));
    else details(found);
  }

  function details({ lora, note, said, pictures }) {
    const status = h("p", { class: "said muted", role: "status" });
    const change = async (changes, text) => {
      const seen = Object.fromEntries(
        Object.keys(changes)
          .filter((key) => key !== "favourite")
          .map((key) => [key, note[key] ?? null]),
      );
      const done = await edit(lora.name, changes, seen);
      if (opened !== lora.name) return;
      // What was typed stays; what somebody else saved meanwhile has been told, and may be replaced now.
      if (done.error) {
        status.textContent = done.error;
        status.classList.add("problem");
        if (done.note) note = done.note;
        return;
      }
      details(done);
      sheet.querySelector(".said").textContent = text;
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
      placeholder: note.description ? "" : lora.description || "What it is good for",
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
            status.textContent = "Nothing was changed.";
            status.classList.remove("problem");
          }
        },
      },
      h("label", {}, "Trigger phrase", trigger),
      h("label", {}, "Default weight", weight),
      h("label", { class: "wide" }, "Description", about),
      h("p", { class: "muted wide" }, "Left empty, what the file says counts."),
      h("div", { class: "actions wide" }, h("button", { type: "submit" }, "Save")),
    );
    const model = base();
    const misfit = blockedReason(lora, model);
    const facts = [
      ["Size", bytes(lora.size_bytes)],
      ["Date", new Date(lora.modified * 1000).toLocaleString()],
      ["AutoV3", lora.hash ?? (lora.reason ? "not computed" : "being computed")],
      ["Rank", said?.rank],
      ["Tensors", said?.tensors],
      ["Base, as noted", lora.base],
      ...Object.entries(said?.facts ?? {}),
    ].filter(([, value]) => value !== null && value !== undefined && value !== "");
    put(
      sheet,
      h("div", { class: "hero" }, picture(lora, false)),
      h("h2", {}, lora.name),
      h(
        "p",
        { class: "badges" },
        badge(architectureName(lora)),
        lora.kind === "unknown" ? null : badge(lora.kind),
        lora.from_hub ? badge("Hugging Face cache") : null,
      ),
      misfit ? h("p", { class: "why" }, misfit) : null,
      h(
        "div",
        { class: "actions" },
        misfit
          ? null
          : button(
              "Add to Studio",
              () => {
                dialog.close();
                addToStudio(lora);
              },
              { class: "primary" },
            ),
        lora.trigger ? copies(lora.trigger, "Copy trigger words") : null,
        button(
          lora.favourite ? "★ Favourite" : "☆ Favourite",
          () =>
            change(
              { favourite: !lora.favourite },
              lora.favourite ? "No longer a favourite." : "Marked as favourite.",
            ),
          { "aria-pressed": String(lora.favourite) },
        ),
        button(
          "Use the last picture",
          () => change({ preview: "last" }, "The last picture is the preview now."),
          { title: "The newest picture made with it becomes its preview" },
        ),
        note.preview
          ? button("Remove chosen preview", () => change({ preview: null }, "The chosen preview is removed."))
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
            said.more_tags ? h("p", { class: "muted" }, `${said.more_tags} rarer tags are not shown.`) : null,
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
              pictures.map((id) =>
                h(
                  "button",
                  {
                    type: "button",
                    "aria-label": `Open ${id}`,
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

  /** The hash arrives by itself, without disturbing what is being typed. */
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

  // -- what comes from elsewhere -----------------------------------------------------------------------

  for (const each of element.querySelectorAll(".segments button")) {
    each.onclick = () => {
      section = each.dataset.section;
      draw();
    };
  }
  let typing = null;
  box.oninput = () => {
    clearTimeout(typing);
    typing = setTimeout(draw, 80);
  };
  fit.onchange = sort.onchange = draw;
  only.onclick = () => {
    only.setAttribute("aria-pressed", String(only.getAttribute("aria-pressed") !== "true"));
    draw();
  };
  subscribe("catalog", (value) => {
    catalog = value;
    problem.textContent = value.problems.join(" ");
    filters();
    draw();
  });
  subscribe("checkpoint", (value) => {
    checkpoint = value.name;
    if (catalog) {
      filters();
      draw();
    }
  });
  subscribe("gallery", (value) => {
    if (value.version !== gallery) {
      gallery = value.version;
      draw();
    }
  });
  subscribe("outcome", (value) => {
    if (value.where === "loras") problem.textContent = value.error ?? value.told ?? "";
  });
}
