// @ts-check
// Notices of the viewer, in a place that is kept for them below the picture: errors in full, everything else
// in one line that opens. Dismissed ones do not come back.
import { button, h, put } from "../shared/dom.js";
import { many } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { getPref, setPref } from "../shared/preferences.js";
import * as form from "./form.js";
import { changeSettings } from "./settings_menu.js";

const MOST_READ = 200;
/** @typedef {"error" | "warning" | "information"} Kind */
/** @type {Record<Kind, {name: string, icon: any}>} */
const KINDS = {
  error: { name: "Error", icon: "warning" },
  warning: { name: "Warning", icon: "warning" },
  information: { name: "Note", icon: "info" },
};

/**
 * Manages the notices in `place`. A notice's key identifies it for deduplication and dismissal; it begins
 * with "asked" for an answer to what was just asked for, with the job's id for one about a job.
 */
export function makeNotices(place) {
  const loud = h("div", { class: "notices", role: "alert" });
  const list = h("div", {
    class: "notes-list",
    id: "viewer-notes",
    popover: "auto",
    role: "group",
    "aria-label": "Notes",
  });
  const opener = h("button", {
    type: "button",
    class: "notes-button",
    popovertarget: list.id,
    "aria-haspopup": "true",
    hidden: true,
  });
  put(place, loud, h("div", { class: "quiet", role: "status" }, opener), list);
  list.addEventListener("beforetoggle", () => {
    const box = opener.getBoundingClientRect();
    list.style.left = `${box.left}px`;
    list.style.bottom = `${innerHeight - box.top + 6}px`;
  });

  const dismissed = new Set(getPref("readNotices", []));
  /** Dismissals of job notices outlast a reload. */
  function dismiss(entry) {
    dismissed.add(entry.key);
    setPref("readNotices", [...dismissed].filter((each) => !each.startsWith("asked")).slice(-MOST_READ));
    const hadFocus = list.contains(document.activeElement);
    remove((each) => each === entry);
    if (hadFocus) (list.querySelector("button") ?? opener).focus();
  }

  let entries = [];
  const quietOnes = () => entries.filter((entry) => entry.node.parentNode === list);
  function remove(isGone) {
    for (const entry of entries.filter(isGone)) entry.node.remove();
    entries = entries.filter((entry) => !isGone(entry));
    drawOpener();
  }

  /** One notice is said in its line, as far as it fits; of several their number. */
  function drawOpener() {
    const quiet = quietOnes();
    const warnings = quiet.filter((entry) => entry.kind === "warning").length;
    const text = quiet.length === 1 ? quiet[0].text : many(quiet.length, "note");
    opener.hidden = !quiet.length;
    if (!quiet.length && list.matches(":popover-open")) list.hidePopover();
    /** @type {Kind} */
    const kind = warnings ? "warning" : "information";
    const key = `${kind} ${warnings} ${text}`;
    if (opener.dataset.shows === key) return; // otherwise it would be read aloud again
    opener.dataset.shows = key;
    opener.className = `notes-button ${kind}`;
    opener.title = "Show the whole text";
    const hidden = (words) => h("span", { class: "visually-hidden" }, words);
    put(
      opener,
      icon(KINDS[kind].icon),
      quiet.length === 1 ? hidden(`${KINDS[kind].name}: `) : null,
      h("span", { class: "notes-text" }, text),
      quiet.length > 1 && warnings ? hidden(`(${many(warnings, "warning")})`) : null,
    );
  }

  /**
   * @param {Kind} kind
   * @param {string} text
   * @param {string} key
   * @param {{offer?: any, isLoud?: boolean}} [more] a button in it; whether it is shown in full
   */
  function notice(kind, text, key, { offer = null, isLoud = kind === "error" } = {}) {
    if (dismissed.has(key) || entries.some((entry) => entry.key === key)) return;
    const entry = { kind, text, key };
    entry.node = h(
      "div",
      { class: `notice ${kind}`, "data-key": key },
      icon(KINDS[kind].icon),
      h("span", {}, h("span", { class: "visually-hidden" }, `${KINDS[kind].name}: `), text),
      offer,
      button("×", () => dismiss(entry), { "aria-label": "Dismiss", title: "Dismiss" }),
    );
    entries.push(entry);
    (isLoud ? loud : list).append(entry.node);
    drawOpener();
  }

  /** Notices about the queue as a whole: why it is paused, and problems found at startup. */
  function queueNotices(jobs) {
    for (const [key, text] of [
      ["asked paused", jobs.pause_reason],
      ["asked problem", jobs.problem],
    ]) {
      if (text) notice("warning", text, key, { isLoud: true });
      else {
        remove((entry) => entry.key === key);
        dismissed.delete(key);
      }
    }
  }

  /** Show what is to be said of a job, and only of this one; its error, if the job is this page's `own`. */
  function jobNotices(job, own) {
    remove((entry) => !entry.key.startsWith("asked") && !entry.key.startsWith(`${job.job_id} `));
    for (const text of job.warnings) {
      notice(job.information?.includes(text) ? "information" : "warning", text, `${job.job_id} ${text}`);
    }
    if (job.error && own) notice("error", job.error, `${job.job_id} ${job.error}`);
  }

  return {
    notice,
    queueNotices,
    jobNotices,
    clearErrors: () => remove((entry) => entry.kind === "error"),
    /** Remove the notices about what was asked for last. */
    clearAsked: () => remove((entry) => entry.key.startsWith("asked at")),
  };
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
