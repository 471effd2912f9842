// @ts-check
// Puts words that another tab sends, such as an embedding's name, behind those of a prompt.
import { last, subscribe } from "../shared/bus.js";
import { toast } from "../shared/toast.js";
import * as form from "./form.js";
import { fill } from "./settings_menu.js";

const LABELS = { prompt: "prompt", negative_prompt: "negative prompt" };

/** Whether a prompt has the words already, whatever their case, and not as a part of others. */
function holds(prompt, text) {
  const words = text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(?<![\\p{L}\\p{N}_])${words}(?![\\p{L}\\p{N}_])`, "iu").test(prompt);
}

/** Follow the channel "add-words": `{ field, text }`. */
export function takeWords() {
  subscribe("add-words", (value) => {
    if (!value?.text) return;
    last.delete("add-words");
    const { field, text } = value;
    const before = form.typedState()?.[field] ?? "";
    if (holds(before, text)) {
      toast(`${text} is in the ${LABELS[field]} already.`);
      return;
    }
    const kept = before.trimEnd().replace(/,$/, "");
    fill({ [field]: kept ? `${kept}, ${text}` : text }, `${text} added to the ${LABELS[field]}.`);
  });
}
