// @ts-check
// The DOM elements of a queue row.
import { h, put } from "../shared/dom.js";
import { detailsOf, generates, isOpen, promptOf } from "./queue_row.js";

/**
 * Create a row; returns its elements by name, which `update` in queue.js fills.
 *
 * @param {any} job
 * @param {any} actions the buttons' handlers by name
 */
export function makeRow(job, actions) {
  const { jobOf, pick, drawDetails, openInGallery, watch, steer, move, remove, cancel, edit } = actions;
  const id = job.job_id;
  const text = promptOf(job);
  const act = (name, label, title, run) =>
    h(
      "button",
      { type: "button", class: `do-${name}`, title, "aria-label": `${title}: ${text}`, onclick: run },
      label,
    );
  const box = h("input", {
    type: "checkbox",
    "aria-label": `Select: ${text}`,
    onclick: (event) => pick(id, event.target.checked, event.shiftKey),
  });
  const grip = h(
    "button",
    { type: "button", class: "grip", title: "Drag to reorder; arrow keys move it too" },
    h("i", { "aria-hidden": "true" }),
    h("b", { class: "place" }),
  );
  const details = h(
    "details",
    { ontoggle: () => drawDetails(id) },
    h(
      "summary",
      {},
      h("span", { class: "prompt" }),
      h(
        "span",
        { class: "line" },
        h("span", { class: "state" }),
        h("span", { class: "facts" }),
        h("span", { class: "timing" }),
      ),
      h("span", { class: "answer" }),
      h("span", { class: "why" }),
    ),
    h("dl", { class: "details" }),
  );
  const row = h(
    "li",
    { class: "job", "data-id": id },
    h("div", { class: "pick" }, grip, box),
    h("button", {
      type: "button",
      class: "thumb",
      onclick: () => {
        const last = jobOf(id).images.at(-1);
        if (last) openInGallery(last);
        else if (isOpen(jobOf(id)) && generates(jobOf(id))) watch(id);
      },
    }),
    h("div", { class: "main" }, details, h("div", { class: "strip" })),
    h(
      "div",
      { class: "acts" },
      act("watch", "Watch", "Watch it in the Studio", () => watch(id)),
      act("gallery", "Gallery", "Show its pictures in the gallery", () =>
        openInGallery(jobOf(id).images.at(-1)),
      ),
      act("after", "Stop after this image", "Finish this image and skip the rest", () =>
        steer("cancel_after_image", [id]),
      ),
      act("top", "Top", "Move to the top", () => move([id], "top")),
      act("up", "↑", "Move up", () => move([id], "up")),
      act("down", "↓", "Move down", () => move([id], "down")),
      act("aside", "Put aside", "Put aside after the current step, to go on later", () =>
        steer("suspend", [id]),
      ),
      act("continue", "Go on", "Let it go on where it stopped", () => steer("continue", [id])),
      act("retry", "Retry", "Retry with the same seeds", () => steer("retry", [id])),
      act("again", "Again", "Queue its settings again with a new seed", () => steer("again", [id])),
      act("edit", "Edit as new", "Load its settings into the Studio", () => edit(id)),
      act("remove", "Remove", "Remove from the list; its pictures are kept", () => remove([id])),
      act("cancel", "Cancel", "Cancel", () => cancel([id])),
    ),
    h(
      "div",
      {
        class: "track",
        role: "progressbar",
        "aria-label": "Progress",
        "aria-valuemin": "0",
        "aria-valuemax": "100",
      },
      h("div", { class: "bar" }),
    ),
  );
  const parts = { row, box, grip, details };
  for (const name of [
    "place",
    "state",
    "timing",
    "prompt",
    "facts",
    "answer",
    "why",
    "strip",
    "thumb",
    "track",
    "bar",
  ]) {
    parts[name] = row.querySelector(`.${name}`);
  }
  for (const each of row.querySelectorAll(".acts button")) parts[each.classList[0]] = each;
  row.addEventListener("keydown", (event) => actions.pressed(event, id));
  grip.addEventListener("pointerdown", (event) => actions.grab(event, id));
  return { ...parts, job, key: "" };
}

/** Fill an open row's details; a closed one stays empty. */
export function drawDetails(entry) {
  const list = entry?.details.querySelector("dl");
  if (!list || !entry.details.open) return;
  const { job } = entry;
  const key = JSON.stringify([job.status, job.told, job.result, job.seconds_per_step]);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  put(list, detailsOf(job));
}
