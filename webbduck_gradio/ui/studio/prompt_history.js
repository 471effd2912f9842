// @ts-check
// Alt+Up and Alt+Down in the prompt: the prompts that were sent from this browser.
import { subscribe } from "../shared/bus.js";
import { listenerSignal, replaceText } from "../shared/dom.js";
import { getPref, setPref } from "../shared/preferences.js";

const MOST = 100;

/** The prompts, oldest first, without duplicates. */
const kept = () => getPref("sentPrompts", []).filter((each) => typeof each === "string");

/** Add a prompt as the newest. */
function keep(text) {
  if (!text.trim()) return;
  setPref("sentPrompts", [...kept().filter((each) => each !== text), text].slice(-MOST));
}

/** Listen for the keys, and keep what Generate sends. */
export function keepHistory() {
  let seen = 0;
  subscribe("outcome", (value) => {
    if (value.sent === undefined || value.at === seen) return;
    seen = value.at;
    keep(value.sent);
  });
  document.addEventListener(
    "keydown",
    (event) => {
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      const area = event.target.closest?.("#prompt textarea");
      if (!by || !area || !event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const typed = area.value.trim() ? area.value : "";
      // What was not sent is kept, too, as the newest entry, so that the way back leads to it.
      if (typed && !kept().includes(typed)) keep(typed);
      const texts = kept();
      const place = (typed ? texts.indexOf(typed) : texts.length) + by;
      // Behind the newest one the prompt is empty.
      if (place >= 0 && place <= texts.length) replaceText(area, 0, area.value.length, texts[place] ?? "");
    },
    { signal: listenerSignal("prompt_history") },
  );
}
