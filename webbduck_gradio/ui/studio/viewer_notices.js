// @ts-check
// Notices above the picture; dismissed ones do not come back.
import { h } from "../shared/dom.js";
import { getPref, setPref } from "../shared/preferences.js";
import * as form from "./form.js";
import { changeSettings } from "./settings_menu.js";

/** Manages the notices in an element; a notice's key identifies it for deduplication and dismissal. */
export function makeNotices(notices) {
  const MOST_READ = 200;
  const dismissed = new Set(getPref("readNotices", []));
  /** Dismissals of job notices outlast a reload. */
  function dismiss(key) {
    dismissed.add(key);
    setPref("readNotices", [...dismissed].filter((each) => !each.startsWith("asked")).slice(-MOST_READ));
  }
  function notice(kind, text, key, offer = null) {
    if (dismissed.has(key) || [...notices.children].some((each) => each.dataset.key === key)) return;
    notices.append(
      h(
        "div",
        { class: `notice ${kind}${key.startsWith("asked") ? "" : " of-job"}`, "data-key": key },
        h("span", {}, text),
        offer,
        h(
          "button",
          {
            type: "button",
            "aria-label": "Dismiss",
            onclick: (event) => {
              dismiss(key);
              event.target.closest(".notice").remove();
            },
          },
          "×",
        ),
      ),
    );
  }

  /** A notice about what was just asked for, which the next answer removes. */
  function aboutAsked(kind, text, key, offer = null) {
    notice(kind, text, key, offer);
    notices.lastChild.classList.add("asked");
  }

  /** Notices about the queue as a whole: why it is paused, and problems found at startup. */
  function queueNotices(jobs) {
    for (const [key, text] of [
      ["asked paused", jobs.pause_reason],
      ["asked problem", jobs.problem],
    ]) {
      const old = [...notices.children].find((each) => each.dataset.key === key);
      if (!text) {
        old?.remove();
        dismissed.delete(key);
      } else notice("warning", text, key);
    }
  }

  /** Remove the notices about what was asked for last. */
  function clearAsked() {
    for (const old of notices.querySelectorAll(".asked")) old.remove();
  }

  return { notice, aboutAsked, queueNotices, clearAsked };
}

/**
 * A button that loads the defaults of a checkpoint that replaced a missing one; null if they are set already.
 */
export function offerDefaults(defaults) {
  const { name, ...wanted } = defaults ?? {};
  const state = form.state();
  if (!name || (state && Object.entries(wanted).every(([field, value]) => state[field] === value))) {
    return null;
  }
  return h(
    "button",
    {
      type: "button",
      class: "near",
      onclick: (event) => {
        event.target.closest(".notice").remove();
        changeSettings("use_defaults", { base_model: name });
      },
    },
    `Use ${wanted.width} × ${wanted.height}, ${wanted.steps} steps`,
  );
}
