// @ts-check
// The LoRAs tab: searchable cards of LoRAs, embeddings and checkpoints, and details of LoRAs.
import { last, publish, subscribe } from "../shared/bus.js";
import { makeCombobox } from "../shared/combobox.js";
import { button, h, put } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { architectureName, blockedReason, isCompatible } from "../shared/lora_fit.js";
import { callServer } from "../shared/server_call.js";
import { openTab } from "../shared/tabs.js";
import { loraUrl } from "../shared/urls.js";
import { bareName, originBadge } from "../shared/origins.js";
import { makeBatches } from "./batches.js";
import { makeCheckpointCard } from "./checkpoints.js";
import { convertPart, drawConversions, startConversions } from "./conversions.js";
import { makeDetails } from "./details.js";
import { drawEmbeddings } from "./embeddings.js";
import { openModelFolders } from "./model_folders.js";
import { makeOriginFilter } from "./origin_filter.js";
import { badge, copyButton, date, distilledBadge, picture } from "./parts.js";
import { addModelCard, toolCard } from "./tools.js";

/** @param {GradioView} view */
export default function start({ element, trigger, server }) {
  const find = (selector) => element.querySelector(selector);
  const cards = find(".cards");
  const embeddings = find(".embeddings");
  const models = find(".models");
  const tools = find(".tools-of-models");
  const problem = find(".problem");
  const missing = find(".missing");
  const count = find(".count");
  const box = find(".find");
  const only = find(".only");
  const fit = makeCombobox({ label: "Architecture", value: "fits", onchange: () => draw() });
  const sort = makeCombobox({
    label: "Order",
    value: "name",
    choices: [
      { value: "name", label: "By name" },
      { value: "newest", label: "Newest first" },
      { value: "largest", label: "Largest first" },
    ],
    onchange: () => draw(),
  });
  const origins = makeOriginFilter(() => draw());
  const batches = makeBatches(() => draw());
  const lists = find(".lists");
  put(lists, fit.node, sort.node);
  find(".origins").append(origins.node, origins.too);
  const folders = find(".model-folders-button");
  const openFolders = (anchor = folders) => openModelFolders(anchor, server);
  put(only, icon("heart"));
  const NOTHING_CHANGED = "The server did not answer; nothing was changed.";
  let catalog = null;
  let checkpoint = null;
  let gallery = 0;
  let section = "loras";
  /** By name, with what is typed into them. @type {Map<string, ReturnType<typeof makeCheckpointCard>>} */
  const modelCards = new Map();
  let addPlace = null;

  const base = () => catalog?.checkpoints.find((each) => each.name === checkpoint);
  const previewUrl = (lora) => loraUrl(lora.name, lora.preview ?? `g${gallery}`);
  function addToStudio({ name, weight }) {
    publish("add-lora", { name, weight });
    openTab("studio");
  }

  const details = makeDetails({ server, edit, base, previewUrl, addToStudio });

  // -- LoRAs: the cards --------------------------------------------------------------------------------

  /** `seen` holds the values that were shown before the change, so that the server can detect a conflict. */
  async function edit(name, changes, seen = {}) {
    return callServer(() => server.webbduck_edit_lora({ name, changes, seen }), NOTHING_CHANGED);
  }

  function heart(lora) {
    return button(
      icon("heart"),
      async (event) => {
        event.stopPropagation();
        const done = await edit(lora.name, { favourite: !lora.favourite });
        if (done.error) problem.textContent = done.error;
      },
      {
        class: "heart",
        "aria-pressed": String(lora.favourite),
        "aria-label": `Favourite: ${lora.name}`,
        title: "Favourite",
      },
    );
  }

  function card(lora, model) {
    const why = blockedReason(lora, model);
    // The trigger phrase has its own line.
    const tags = lora.tags.filter((tag) => tag.toLowerCase() !== lora.trigger.trim().toLowerCase());
    return h(
      "article",
      { class: `card${why ? " unusable" : ""}`, "aria-label": lora.name },
      h(
        "button",
        {
          type: "button",
          class: "pic",
          "aria-label": `Details of ${lora.name}`,
          onclick: () => details.open(lora.name),
        },
        picture(lora, previewUrl(lora)),
      ),
      heart(lora),
      h("h3", { title: lora.name }, bareName(lora)),
      h(
        "p",
        { class: "badges" },
        originBadge(lora),
        badge(architectureName(lora)),
        lora.kind === "unknown" ? null : badge(lora.kind),
        lora.from_hub ? badge("Hugging Face cache") : null,
        distilledBadge(lora),
      ),
      lora.trigger
        ? h(
            "p",
            { class: "trigger" },
            h("b", { title: lora.trigger }, lora.trigger),
            copyButton(lora.trigger, "Copy"),
          )
        : null,
      why
        ? h("p", { class: "why" }, why)
        : lora.description
          ? h("p", { class: "about" }, lora.description)
          : null,
      lora.reason ? convertPart("lora", lora.name) : null,
      tags.length ? h("p", { class: "tags" }, tags.join(" · ")) : null,
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

  /** What is searched for. */
  const words = () => box.value.toLowerCase().split(/\s+/).filter(Boolean);

  const isOnly = () => only.getAttribute("aria-pressed") === "true";

  /** What is searched in. @type {WeakMap<object, string>} */
  const texts = new WeakMap();
  function searched(lora) {
    let text = texts.get(lora);
    if (text === undefined) {
      text = `${lora.name} ${lora.trigger} ${lora.tags.join(" ")} ${lora.description} ${lora.kind}`;
      texts.set(lora, (text = text.toLowerCase()));
    }
    return text;
  }

  function chosen() {
    const typed = words();
    const model = base();
    const found = catalog.loras.filter((lora) => {
      if (isOnly() && !lora.favourite) return false;
      if (fit.value === "fits" && model && !lora.reason && !isCompatible(lora, model)) return false;
      if (fit.value.startsWith("arch:") && lora.arch !== fit.value.slice(5)) return false;
      return !typed.length || typed.every((word) => searched(lora).includes(word));
    });
    if (sort.value === "newest") found.sort((one, other) => other.modified - one.modified);
    if (sort.value === "largest") found.sort((one, other) => other.size_bytes - one.size_bytes);
    found.sort((one, other) => other.favourite - one.favourite);
    return origins.shown(found, (lora) => blockedReason(lora, model));
  }

  function filters() {
    const archs = [...new Set(catalog.loras.map((lora) => lora.arch))].sort();
    const model = base();
    const choices = [
      { value: "fits", label: model ? `Fits ${model.name}` : "All that fit" },
      { value: "all", label: "All architectures" },
      ...archs.map((arch) => ({ value: `arch:${arch}`, label: architectureName({ arch }) })),
    ];
    if (!choices.some((choice) => choice.value === fit.value)) fit.value = "fits";
    fit.setChoices(choices);
  }

  function nothing() {
    if (!catalog.loras.length) {
      return (
        `No LoRAs yet. Put a .safetensors file into ${catalog.folders.lora}; ` +
        "it appears here automatically."
      );
    }
    if (origins.noneUsable()) return origins.noneUsable();
    return fit.value === "fits" && !box.value
      ? "No LoRA fits this checkpoint. Choose “All architectures” to see the others."
      : "No LoRA matches. Shorten the search, or choose “All architectures”.";
  }

  /** The cards of a list that are shown; another search or filter shows another list. */
  const part = (found) =>
    batches.part(
      found,
      JSON.stringify([section, box.value, fit.value, sort.value, isOnly(), origins.state()]),
    );

  /** Reuse the cards whose content has not changed. */
  function drawCards() {
    const model = base();
    const known = new Map([...cards.children].map((each) => [each.dataset.key, each]));
    const shown = chosen();
    const nodes = part(shown).map((lora) => {
      const key = JSON.stringify([lora, model?.name, model?.context, lora.preview ? 0 : gallery]);
      const node = known.get(key) ?? card(lora, model);
      node.dataset.key = key;
      return node;
    });
    put(cards, nodes.length ? nodes : h("p", { class: "nothing" }, nothing()), batches.more(shown));
    count.textContent =
      shown.length === catalog.loras.length
        ? `${shown.length}`
        : `${shown.length} of ${catalog.loras.length}`;
  }

  function useModel({ name, arch }) {
    publish("use-model", { field: arch === "sdxl-refiner" ? "second_pass_model" : "base_model", name });
    openTab("studio");
  }

  function drawEmbeddingCards() {
    count.textContent = drawEmbeddings(embeddings, catalog, words(), base(), origins, {
      part,
      more: batches.more,
    });
  }

  function drawTools() {
    const typed = words();
    const shown = catalog.tools.filter(({ title, models: found }) =>
      typed.every((word) => [title, ...found.map(({ name }) => name)].join(" ").toLowerCase().includes(word)),
    );
    put(tools, shown.length ? shown.map(toolCard) : h("p", { class: "nothing" }, "No tool matches."));
    count.textContent = `${shown.length}`;
  }

  const modelCard = (name) =>
    makeCheckpointCard({
      save: (changes, seen) =>
        callServer(() => server.webbduck_edit_checkpoint({ name, changes, seen }), NOTHING_CHANGED),
      use: useModel,
      useCurrent: () => trigger("use_current", { name }),
    });

  function drawModels() {
    const typed = words();
    const found = catalog.checkpoints.filter((each) =>
      typed.every((word) => `${each.name} ${architectureName(each)}`.toLowerCase().includes(word)),
    );
    const shown = origins.shown(found, ({ reason }) => reason);
    const lists = { samplers: catalog.samplers, vaes: catalog.vaes };
    put(
      models,
      (addPlace ??= h("div", { class: "add-place" }, addModelCard(catalog.folders.checkpoint, openFolders))),
      shown.length
        ? part(shown).map((each) => {
            const made = modelCards.get(each.name) ?? modelCard(each.name);
            modelCards.set(each.name, made);
            made.update(each, each.name === checkpoint, lists);
            return made.node;
          })
        : h(
            "p",
            { class: "nothing" },
            catalog.checkpoints.length
              ? origins.noneUsable() || "No checkpoint matches."
              : "No checkpoints yet.",
          ),
      batches.more(shown),
    );
    count.textContent = `${shown.length}`;
  }

  function draw() {
    if (!catalog) return;
    const loras = section === "loras";
    cards.hidden = !loras;
    embeddings.hidden = section !== "embeddings";
    models.hidden = section !== "checkpoints";
    tools.hidden = section !== "tools";
    for (const each of [lists, only]) each.hidden = !loras;
    find(".origins").hidden = section === "tools";
    for (const each of element.querySelectorAll(".segments button")) {
      each.setAttribute("aria-pressed", String(each.dataset.section === section));
    }
    ({ loras: drawCards, embeddings: drawEmbeddingCards, checkpoints: drawModels, tools: drawTools })[
      section
    ]();
    drawConversions(section);
    const file = { loras: "loras.json", checkpoints: "models.json" }[section];
    const gone = catalog.missing?.[file] ?? [];
    const entries = gone.length === 1 ? "an entry" : `${gone.length} entries`;
    const names = gone.slice(0, 20).join(", ") + (gone.length > 20 ? " …" : ".");
    missing.textContent = gone.length ? `${file} has ${entries} without a file: ${names}` : "";
  }

  startConversions(server, find(".conversions"));

  // -- events and channels -----------------------------------------------------------------------------

  for (const each of element.querySelectorAll(".segments button")) {
    each.onclick = () => {
      section = each.dataset.section;
      draw();
    };
  }
  // Other tabs show a section.
  subscribe("models", (wanted) => {
    if (!wanted) return;
    last.delete("models");
    section = wanted;
    box.value = "";
    draw();
  });
  folders.onclick = () => openFolders();
  let typing = null;
  box.oninput = () => {
    clearTimeout(typing);
    typing = setTimeout(draw, 80);
  };
  only.onclick = () => {
    only.setAttribute("aria-pressed", String(only.getAttribute("aria-pressed") !== "true"));
    draw();
  };
  subscribe("catalog", (value) => {
    catalog = value;
    problem.textContent = value.problems.join(" ");
    filters();
    origins.offer([...catalog.loras, ...catalog.embeddings, ...catalog.checkpoints]);
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
    if (value.where === "loras") problem.textContent = value.error ?? value.message ?? "";
  });
}
