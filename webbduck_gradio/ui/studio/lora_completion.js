// @ts-check
// Completes `<lora:` in the prompt; the LoRA goes into the stack, as that of a pasted tag does.
import { last, publish } from "../shared/bus.js";
import { blockedReason } from "../shared/lora_fit.js";
import { getStored, thisTab } from "../shared/preferences.js";
import { toast } from "../shared/toast.js";
import { loraUrl } from "../shared/urls.js";
import * as form from "./form.js";

const TAG = /<(?:lora|lyco)\s*:\s*([^<>:]*)$/i;

/** Names of the LoRAs in the stack, which the stack stores at once. */
const stacked = () => JSON.parse(getStored("loraStack", "[]", thisTab)).map(({ name }) => name);

/** @type {import("../shared/completion.js").Source} */
export const loraTags = {
  title: "LoRAs",
  find(before) {
    const found = TAG.exec(before);
    return found && { from: found.index, typed: found[1] };
  },
  options(typed) {
    const catalog = last.get("catalog");
    const base = catalog?.checkpoints.find((each) => each.name === form.state()?.base_model);
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    const begins = (name) => name.toLowerCase().startsWith(words[0] ?? "");
    return (catalog?.loras ?? [])
      .map((lora) => ({ lora, why: blockedReason(lora, base) }))
      .filter(({ lora }) => {
        const text = `${lora.name} ${lora.trigger} ${(lora.tags ?? []).join(" ")}`.toLowerCase();
        return words.every((word) => text.includes(word));
      })
      .sort(
        (one, other) =>
          Number(Boolean(one.why)) - Number(Boolean(other.why)) ||
          Number(begins(other.lora.name)) - Number(begins(one.lora.name)),
      )
      .map(({ lora, why }) => ({
        label: lora.name,
        detail: lora.trigger || lora.kind,
        picture: loraUrl(lora.name, lora.preview ?? ""),
        why,
      }));
  },
  take({ label }) {
    publish("add-lora", { name: label });
    const names = stacked();
    if (names.includes(label)) return "";
    toast(`At most ${names.length} LoRAs can be used; remove one first.`);
    return null;
  },
};
