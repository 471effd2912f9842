// @ts-check
// The Queue tab: rows are keyed by job, so that a redraw keeps scroll position, open details and selection.
import { publish, subscribe } from "../shared/bus.js";
import { h, setHidden, setText } from "../shared/dom.js";
import { makeDragging } from "../shared/drag.js";
import { goOnLabel, many } from "../shared/format.js";
import { callOrToast } from "../shared/server_call.js";
import { openTab } from "../shared/tabs.js";
import { toast } from "../shared/toast.js";
import { keepForUndo } from "../studio/settings_menu.js";
import { followJobs } from "./job_address.js";
import {
  actsOf,
  commonFacts,
  drawStrip,
  drawThumb,
  factsOf,
  generates,
  isOpen,
  isRetryable,
  now,
  promptOf,
  setClock,
  stateOf,
  timesOf,
} from "./queue_row.js";
import { drawDetails, makeRow } from "./row_elements.js";
import { endedText, openText, totalText } from "./totals.js";
import { onSecondPress } from "./twice.js";

/** @param {GradioView} view */
export default function start({ element, trigger, server }) {
  const $ = (selector) => element.querySelector(selector);
  const waiting = $(".waiting");
  const aside = $(".jobs.aside");
  const ended = $(".ended");
  const chosenBar = $(".chosen");
  const older = $(".older");
  const PAGE = 20;
  const rows = new Map();
  const chosen = new Set();
  let state = null;
  let live = {};
  let history = [];
  let lastPicked = null;
  /** The moved job whose new position is to be announced. */
  let moved = null;
  let stale = false;

  const steer = (action, ids = [], more = {}) => trigger("steer", { action, ids, ...more });
  const jobOf = (id) => rows.get(id)?.job;
  const queuedIds = () => state.jobs.filter((job) => job.status === "queued").map((job) => job.job_id);
  const visible = () => element.offsetParent !== null;

  function openInGallery(image) {
    publish("show", { image });
    openTab("gallery");
  }

  function watch(id) {
    publish("follow", { job_id: id, chosen: true });
    openTab("studio");
  }

  /** Cancel jobs; the toast offers to queue those again that had not started. */
  function cancel(ids) {
    const waited = ids.filter((id) => jobOf(id)?.status === "queued");
    steer("cancel", ids);
    if (waited.length) {
      toast(
        `Cancelled ${many(waited.length, "waiting job")}.`,
        () => steer("retry", waited),
        "Queue them again",
      );
    }
  }

  function remove(ids) {
    history = history.filter((job) => !ids.includes(job.job_id));
    steer("remove", ids);
  }

  function move(ids, to) {
    moved = ids[0];
    steer("move", ids, { to });
  }

  // ---- rows

  const actions = {
    jobOf,
    pick,
    drawDetails: (id) => drawDetails(rows.get(id)),
    openInGallery,
    watch,
    steer,
    move,
    remove,
    cancel,
    edit(id) {
      keepForUndo();
      trigger("edit_as_new", { id });
    },
    pressed,
    grab: (event, id) => dragging.grab(event, id),
  };

  /** `common`: facts that its list says for all its jobs. */
  function update(job, common = rows.get(job.job_id).common) {
    const entry = rows.get(job.job_id);
    const key = JSON.stringify([job, common]);
    entry.common = common;
    entry.job = job;
    if (entry.key === key) return;
    entry.key = key;
    const { row } = entry;
    const open = isOpen(job);
    if (row.dataset.state !== job.status) row.dataset.state = job.status;
    for (const [name, yes] of Object.entries(actsOf(job))) setHidden(entry[`do-${name}`], !yes);
    entry["do-aside"].disabled = job.suspending;
    setText(entry["do-continue"], goOnLabel(job));
    entry["do-cancel"].disabled = job.cancelling && !job.cancel_after_image && job.status === "running";
    entry.grip.disabled = job.status !== "queued";
    const place = job.position ? `Move, now at position ${job.position} in the queue: ${promptOf(job)}` : "";
    if (entry.grip.getAttribute("aria-label") !== place) entry.grip.setAttribute("aria-label", place);
    setText(entry.place, String(job.position ?? ""));
    setText(entry.state, stateOf(job));
    setText(entry.timing, timesOf(job));
    setText(entry.prompt, promptOf(job));
    const facts = factsOf(job).filter((fact) => !common.includes(fact));
    setText(entry.facts, facts.join(" · "));
    setText(entry.answer, job.result?.caption ?? "");
    setText(entry.why, [job.error, ...job.warnings].filter(Boolean).join(" "));
    entry.why.classList.toggle("error", Boolean(job.error));
    setHidden(entry.track, job.status !== "running");
    entry.bar.style.width = `${(job.progress * 100).toFixed(1)}%`;
    entry.track.setAttribute("aria-valuenow", Math.round(job.progress * 100));
    drawThumb(entry.thumb, job);
    entry.thumb.setAttribute(
      "aria-label",
      job.images.length
        ? "Show its pictures in the gallery"
        : open && generates(job)
          ? "Watch it in the Studio"
          : "No picture",
    );
    drawStrip(entry.strip, job, openInGallery);
    if (entry.details.open) drawDetails(entry);
  }

  function place(list, jobs, nothing) {
    /** @type {any} */
    const focused = document.activeElement;
    const held = focused && element.contains(focused) ? focused : null;
    const common = commonFacts(jobs);
    banner(list.previousElementSibling, common.length ? `All ${jobs.length}: ${common.join(" · ")}` : "");
    const empty = list.querySelector(".nothing");
    if (empty && jobs.length) empty.remove();
    jobs.forEach((job, index) => {
      if (!rows.has(job.job_id)) rows.set(job.job_id, makeRow(job, actions));
      // Live updates of a job that has ended meanwhile are outdated.
      update(job.job_id === live.job_id && job.status === "running" ? { ...job, ...live } : job, common);
      const { row } = rows.get(job.job_id);
      if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
    });
    while (list.children.length > jobs.length) list.lastChild.remove();
    if (!jobs.length) list.append(h("li", { class: "nothing" }, nothing));
    // Moving a row in the DOM drops the focus, so restore it.
    if (held && held !== document.activeElement && held.isConnected) held.focus({ preventScroll: true });
  }

  function draw() {
    stale = !state || dragging.isActive || !visible();
    if (stale) return;
    // An older job may go on; then it is no longer one that has ended.
    const known = new Set([...state.recent, ...state.jobs, ...state.suspended].map((job) => job.job_id));
    const gone = [...state.recent, ...history.filter((job) => !known.has(job.job_id))];
    place(waiting, state.jobs, "No jobs are waiting. Press Generate in the Studio to add one.");
    setHidden($(".put-aside"), !state.suspended.length);
    place(aside, state.suspended, "");
    place(ended, gone, "Ended jobs are listed here.");
    const shown = new Set([...state.jobs, ...state.suspended, ...gone].map((job) => job.job_id));
    for (const [id, entry] of rows) {
      if (!shown.has(id)) {
        entry.row.remove();
        rows.delete(id);
      }
    }
    const { counts } = state;
    const all = counts.completed + counts.failed + counts.cancelled + counts.interrupted;
    setText($(".summary"), openText(counts));
    drawTotal();
    setText($(".tally"), endedText(counts));
    setHidden($("[data-do=pause]"), state.paused);
    setHidden($("[data-do=resume]"), !state.paused);
    $("[data-do=clear_queued]").disabled = !state.queued_count;
    $("[data-do=clear_finished]").disabled = !all;
    banner(
      $(".note"),
      state.pause_reason ??
        (state.paused ? "Paused: the running job finishes, and no other job starts." : ""),
    );
    banner($(".problem"), state.problem ?? "");
    setHidden(older, gone.length >= all);
    if (history.length && gone.length > all) {
      const { length } = history;
      history = [];
      showOlder(length);
    }
    if (moved && jobOf(moved)?.position) {
      setText($(".announcement"), `Now at position ${jobOf(moved).position} in the queue.`);
      moved = null;
    }
    showChosen();
    jobsDrawn();
  }
  const jobsDrawn = followJobs(element, (id) => rows.get(id));

  /** Not in the summary, which is read aloud when it changes. */
  function drawTotal() {
    setText($(".total"), totalText(state, now()));
  }

  function banner(node, text) {
    setText(node, text);
    setHidden(node, !text);
  }

  // ---- selection

  function pick(id, yes, range = false) {
    const order = [...element.querySelectorAll(".job")].map((row) => row.dataset.id);
    const [from, to] = [order.indexOf(lastPicked), order.indexOf(id)].sort((a, b) => a - b);
    for (const each of range && from >= 0 ? order.slice(from, to + 1) : [id]) {
      if (yes) chosen.add(each);
      else chosen.delete(each);
    }
    lastPicked = id;
    showChosen();
  }

  function showChosen() {
    for (const id of chosen) if (!rows.has(id)) chosen.delete(id);
    for (const [id, entry] of rows) {
      if (entry.box.checked !== chosen.has(id)) entry.box.checked = chosen.has(id);
      entry.row.classList.toggle("is-chosen", chosen.has(id));
    }
    setHidden(chosenBar, !chosen.size);
    if (!chosen.size) return;
    const jobs = [...chosen].map(jobOf);
    setText($(".chosen .count"), chosen.size === 1 ? "1 job selected" : `${chosen.size} jobs selected`);
    for (const button of chosenBar.querySelectorAll("[data-each]")) {
      button.disabled = !jobs.some(FITTING[button.dataset.each]);
    }
    for (const button of chosenBar.querySelectorAll("[data-move]")) {
      button.disabled = !jobs.some((job) => job.status === "queued");
    }
  }

  const FITTING = {
    cancel: isOpen,
    continue: (job) => job.can_continue,
    retry: isRetryable,
    remove: (job) => !isOpen(job),
  };
  const chosenQueued = () => queuedIds().filter((id) => chosen.has(id));

  const clearEnded = onSecondPress($("[data-do=clear_finished]"), "Clear the list? Pictures are kept", () => {
    history = [];
    steer("clear_finished");
  });

  element.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const asked = button?.dataset;
    if (!asked) return;
    if (asked.do === "clear_finished") clearEnded();
    else if (asked.do === "clear_queued") cancel(queuedIds());
    else if (asked.do) steer(asked.do);
    if (asked.each) {
      const ids = [...chosen].filter((id) => FITTING[asked.each](jobOf(id)));
      if (asked.each === "cancel") cancel(ids);
      else if (asked.each === "remove") remove(ids);
      else steer(asked.each, ids);
    }
    if (asked.move && chosenQueued().length) move(chosenQueued(), asked.move);
    if (asked.choose) {
      if (asked.choose === "none") chosen.clear();
      else queuedIds().forEach((id) => chosen.add(id));
      showChosen();
    }
  });

  // ---- keyboard

  const MOVES = { ArrowUp: "up", ArrowDown: "down", Home: "top", End: "bottom" };
  function pressed(event, id) {
    const job = jobOf(id);
    const key = event.key;
    const on = event.target;
    const stop = () => event.preventDefault();
    if (MOVES[key] && job.status === "queued" && (event.altKey || on.closest(".grip"))) {
      stop();
      move([id], MOVES[key]);
      return;
    }
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const all = [...element.querySelectorAll(".job summary")];
    const here = all.indexOf(rows.get(id).row.querySelector("summary"));
    if (key === "ArrowDown" || key === "ArrowUp") {
      stop();
      all[here + (key === "ArrowDown" ? 1 : -1)]?.focus();
    }
    if (key.toLowerCase() === "x") {
      stop();
      pick(id, !chosen.has(id), event.shiftKey);
    }
    const acts = actsOf(job);
    if (key.toLowerCase() === "p" && (acts.aside || acts.continue)) {
      stop();
      steer(acts.aside ? "suspend" : "continue", [id]);
    }
    if (key === "Delete") {
      stop();
      (all[here + 1] ?? all[here - 1])?.focus();
      if (isOpen(job)) cancel([id]);
      else remove([id]);
    }
  }

  const dragging = makeDragging({
    rows,
    ids: queuedIds,
    movedWith: (id) => (chosen.has(id) ? chosenQueued() : [id]),
    announce: (place, { length }) =>
      setText($(".announcement"), `${length > 1 ? `${length} jobs` : "Job"} to position ${place}.`),
    /** Show the new order at once; the server's answer confirms or corrects it. */
    reordered(order, movedIds, place) {
      const by = new Map(state.jobs.map((job) => [job.job_id, job]));
      const waiting = order.filter((id) => by.has(id));
      state = {
        ...state,
        jobs: [
          ...state.jobs.filter((job) => job.status !== "queued"),
          ...waiting.map((id, index) => ({ ...by.get(id), position: index + 1 })),
        ],
      };
      move(movedIds, place);
    },
    ended: () => draw(),
  });

  // ---- channels

  /** Fetch the latest `limit` ended jobs. */
  async function showOlder(limit) {
    older.disabled = true;
    const found = await callOrToast(
      () => server.webbduck_history({ limit }),
      "The server did not answer; try again.",
    );
    if (found) {
      history = found.jobs;
      draw();
    }
    older.disabled = false;
  }
  older.onclick = () => showOlder(ended.querySelectorAll(".job").length + PAGE);

  subscribe("jobs", (value) => {
    setClock(value.time);
    state = value;
    draw();
  });
  subscribe("live", (value) => {
    live = value;
    const job = visible() && !dragging.isActive && state?.jobs.find((each) => each.job_id === live.job_id);
    if (job?.status === "running" && rows.has(job.job_id)) update({ ...job, ...live });
  });
  let seen = 0;
  subscribe("outcome", (value) => {
    if (value.where !== "queue" || value.at === seen) return;
    seen = value.at;
    if (value.error) {
      toast(value.error);
      draw();
    }
    if (value.follow) publish("follow", { job_id: value.follow });
  });
  new IntersectionObserver(() => {
    if (stale && visible()) draw();
  }).observe(element);
  setInterval(() => {
    if (document.hidden || !visible() || !state) return;
    drawTotal();
    for (const entry of rows.values()) setText(entry.timing, timesOf(entry.job));
  }, 1000);
}
