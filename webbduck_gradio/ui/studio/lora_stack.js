// @ts-check
// The LoRA stack: search, weights, on and off, order, and what each LoRA adds to the prompt.
import { openLayer } from "../shared/address.js";
import { last, subscribe } from "../shared/bus.js";
import { h, listenerSignal, phone, put, setText } from "../shared/dom.js";
import { blockedReason } from "../shared/lora_fit.js";
import { nameWithOrigin } from "../shared/origins.js";
import { getStored, setStored, thisTab } from "../shared/preferences.js";
import { listIn, setValue } from "./list_value.js";
import { MORE, problemOf, summary } from "./lora_more.js";
import { makeRow } from "./lora_row.js";
import { makeOrderedRows } from "./ordered_rows.js";

/** @param {GradioView} view */
export default function start({ element, props, trigger, watch }) {
  const MOST_FOUND = 60;
  const find = (selector) => element.querySelector(selector);
  const rows = find(".rows");
  const add = find(".add");
  const search = find(".search");
  const box = find("input");
  const list = find("ul");
  const incompatibleNote = find(".incompatible-note");
  let items = [];
  /** Names of the LoRAs that show more than their weight. @type {Set<string>} */
  const opened = new Set();
  let catalog = null;
  let checkpoint = null;
  let at = 0;

  const lora = (name) => catalog?.loras.find((each) => each.name === name);
  const base = () => catalog?.checkpoints.find((each) => each.name === checkpoint);

  /** Why a LoRA cannot be used now; null if it can. */
  function reasonAgainst(name) {
    if (!catalog) return null;
    const known = lora(name);
    if (!known) return "No longer in the lora folder.";
    return blockedReason(known, base());
  }

  /** The trigger words that the server will add to the prompt (models/prompt_resolver.py), or null. */
  function promptHint(item) {
    const trigger = lora(item.name)?.trigger;
    if (!trigger || !item.on || !(item.weight > 0)) return null;
    const words = trigger
      .trim()
      .split(/\s+/)
      .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join("\\s+");
    const prompt = (document.querySelector("#prompt textarea")?.value ?? "").replace(
      /<(?:lora|lyco)\s*:[^<>]*>/gi,
      " ",
    );
    const there = new RegExp(`(?<![\\p{L}\\p{N}_])${words}(?![\\p{L}\\p{N}_])`, "iu").test(prompt);
    return [there ? "Already in the prompt: " : "Adds to the prompt: ", trigger];
  }

  /** Store the stack in this browser and give it to Gradio if it changed. */
  function save() {
    const value = JSON.stringify(items);
    setStored("loraStack", value);
    setStored("loraStack", value, thisTab);
    setValue({ props, trigger }, value);
    hints();
  }

  function restore() {
    take(getStored("loraStack", null, thisTab) ?? getStored("loraStack", "[]"));
  }

  function take(value) {
    const found = listIn(value);
    if (!found) return;
    items = found
      .filter((each) => typeof each?.name === "string")
      .map((each) => {
        const more = MORE.filter((key) => each[key] !== undefined && each[key] !== null);
        const kept = Object.fromEntries(more.map((key) => [key, each[key]]));
        return { name: each.name, weight: each.weight, ...kept, on: each.on !== false };
      });
    draw();
    save();
  }

  const ordered = makeOrderedRows({
    rows,
    list: () => items,
    row: (item, order) => makeRow(item, order, props.presets, opened, save),
    opener: () => add,
    changed: () => {
      draw();
      save();
    },
  });
  function draw() {
    ordered.draw();
    hints();
  }

  /** Update the texts that change while the rows stay: trigger words, incompatible LoRAs. */
  function hints() {
    for (const [place, item] of items.entries()) {
      const line = rows.children[place];
      const why = reasonAgainst(item.name);
      const hint = promptHint(item);
      if (!line) continue;
      line.classList.toggle("incompatible", Boolean(why));
      const problem = problemOf(item);
      put(line.querySelector(".name > span"), nameWithOrigin(lora(item.name) ?? item));
      put(
        line.querySelector(".hint"),
        why ? [why] : problem ? [problem] : hint ? [hint[0], h("b", {}, hint[1])] : [],
      );
      setText(line.querySelector(".more-summary"), summary(item));
    }
    const unusable = items.filter((item) => item.on && reasonAgainst(item.name));
    put(
      incompatibleNote,
      unusable.length
        ? [
            h(
              "span",
              {},
              `${unusable.map((item) => item.name).join(", ")} cannot be used` +
                (base() ? ` with ${base().name}.` : "."),
            ),
            h(
              "button",
              {
                type: "button",
                onclick: () => {
                  for (const item of unusable) item.on = false;
                  draw();
                  save();
                },
              },
              "Turn off",
            ),
          ]
        : [],
    );
  }

  function insert(name, weight) {
    const there = items.find((item) => item.name === name);
    if (there) there.on = true;
    else if (items.length < props.most) {
      items.push({ name, weight: weight ?? lora(name)?.weight ?? 1, on: true });
    }
    draw();
    save();
  }

  // -- search ------------------------------------------------------------------------------------------

  function found() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    const taken = new Set(items.map((item) => item.name));
    return (catalog?.loras ?? [])
      .filter((each) => !taken.has(each.name))
      .filter((each) => {
        const text =
          `${each.name} ${each.trigger} ${each.description} ${(each.tags ?? []).join(" ")}`.toLowerCase();
        return words.every((word) => text.includes(word));
      })
      .map((each) => ({ each, why: reasonAgainst(each.name) }))
      .sort(
        (one, other) =>
          Number(Boolean(one.why)) - Number(Boolean(other.why)) ||
          Number(other.each.favourite ?? false) - Number(one.each.favourite ?? false),
      );
  }

  function showResults() {
    const all = found();
    const shown = all.slice(0, MOST_FOUND);
    const usable = shown.filter(({ why }) => !why).length;
    at = Math.max(0, Math.min(at, usable - 1));
    const full = items.length >= props.most;
    put(
      list,
      full
        ? h("li", { class: "nothing" }, `At most ${props.most} LoRAs can be used.`)
        : shown.length
          ? shown.map(({ each, why }, place) =>
              h(
                "li",
                {
                  role: "option",
                  id: `stack-found-${place}`,
                  "aria-selected": String(place === at && !why),
                  "aria-disabled": String(Boolean(why)),
                  title: why ?? each.description ?? "",
                  onclick: why ? null : () => choose(each.name),
                },
                h("span", {}, nameWithOrigin(each)),
                h("small", {}, why ? why : each.trigger || each.kind),
              ),
            )
          : h(
              "li",
              { class: "nothing" },
              catalog?.loras.length
                ? "No LoRA matches."
                : "No LoRAs yet. Put a .safetensors file into the lora folder; " +
                    "it appears here automatically.",
            ),
      all.length > MOST_FOUND
        ? h("li", { class: "nothing" }, `${all.length - MOST_FOUND} more; refine the search.`)
        : null,
    );
    box.setAttribute("aria-activedescendant", usable ? `stack-found-${at}` : "");
  }

  /** On a phone it covers the page, so Back closes it. */
  let layer = null;
  function open(yes) {
    layer?.closed();
    layer = yes && phone.matches ? openLayer(() => open(false)) : null;
    search.hidden = !yes;
    add.setAttribute("aria-expanded", String(yes));
    add.textContent = yes ? "Close" : "Add";
    if (yes) {
      box.value = "";
      at = 0;
      showResults();
      box.focus();
    }
  }

  function choose(name) {
    insert(name);
    open(false);
    add.focus();
  }

  add.onclick = () => open(search.hidden);
  find(".search-head .close").onclick = () => {
    open(false);
    add.focus();
  };
  box.oninput = () => {
    at = 0;
    showResults();
  };
  box.onkeydown = (event) => {
    const options = [...list.querySelectorAll("[role=option][aria-disabled=false]")];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      at = Math.max(0, Math.min(options.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)));
      showResults();
      list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) options[at]?.click();
    else if (event.key === "Escape") {
      open(false);
      add.focus();
    } else return;
    event.preventDefault();
  };

  // -- updates -----------------------------------------------------------------------------------------

  // "" is Gradio's initial value, which must not overwrite the restored stack; an empty stack is "[]".
  watch("value", () => {
    if (!props.value) save();
    else if (props.value !== JSON.stringify(items)) take(props.value);
  });
  subscribe("catalog", (value) => {
    catalog = value;
    hints();
    if (!search.hidden) showResults();
  });
  subscribe("checkpoint", (value) => {
    checkpoint = value.name;
    hints();
    if (!search.hidden) showResults();
  });
  subscribe("add-lora", (value) => {
    if (value.name) {
      last.delete("add-lora");
      insert(value.name, value.weight);
    }
  });
  const onInput = (event) => {
    if (event.target.closest("#prompt")) hints();
  };
  document.addEventListener("input", onInput, { signal: listenerSignal("lora_stack") });
  if (props.value) take(props.value);
  else restore();
}
