// @ts-check
// What a detector finds in the picture that is shown: boxes over a small copy of it, and the same as a list.
import { last, subscribe } from "../shared/bus.js";
import { h, put } from "../shared/dom.js";
import { percent } from "../shared/settings.js";
import { imageUrl } from "../shared/urls.js";

/**
 * The regions of all cards, by their place. `detect({image, detector, confidence})` asks the server; its job
 * comes back on the channel "outcome".
 *
 * @param {{detect: (asked: Record<string, any>) => void}} options
 */
export function makeRegions({ detect }) {
  /** @type {Map<number, any>} by place: {detector, box, image, job, result, problem} */
  const asked = new Map();
  /** The place whose job is not known yet. @type {number | null} */
  let sent = null;

  function draw(entry) {
    const { box, result, problem, image } = entry;
    if (problem) return put(box, h("p", { class: "problem", role: "alert" }, problem));
    if (!result) return put(box, h("p", { role: "status" }, "Looking for regions"));
    put(box, result.regions.length ? overlay(result, image) : null, listed(result));
  }

  function ask(place, pass, box) {
    const image = last.get("shown");
    const entry = { detector: pass.detector, box, image };
    asked.set(place, entry);
    if (!image) {
      return draw({ ...entry, problem: "There is no finished picture; generate one, or pick one." });
    }
    sent = place;
    draw(entry);
    detect({ image, detector: pass.detector, confidence: String(pass.confidence ?? "") });
  }

  subscribe("outcome", (value) => {
    const entry = sent === null ? null : asked.get(sent);
    if (value.where !== "details" || !entry) return;
    sent = null;
    if (value.error) draw(Object.assign(entry, { problem: value.error }));
    else if (value.detect) entry.job = value.detect;
  });
  subscribe("jobs", (state) => {
    for (const entry of asked.values()) {
      const job = entry.job && [...state.jobs, ...state.recent].find((each) => each.job_id === entry.job);
      if (!job || job.status === "queued" || job.status === "running") continue;
      delete entry.job;
      if (job.result) entry.result = job.result;
      else entry.problem = job.error ?? job.headline;
      draw(entry);
    }
  });

  return {
    ask,
    /** A card was drawn anew: what its detector found stays, as long as it is the same one. */
    place(place, pass, box) {
      const entry = asked.get(place);
      if (!entry || entry.detector !== pass.detector) asked.delete(place);
      else draw(Object.assign(entry, { box }));
    },
    /** What was found no longer holds. */
    forget(place) {
      const entry = asked.get(place);
      if (entry) put(entry.box);
      asked.delete(place);
    },
  };
}

const textOf = (region) => `${region.class} ${percent(region.confidence)}`;

function overlay({ regions, width, height }, image) {
  const boxes = regions.map((region, number) => {
    const [left, top, right, bottom] = region.box;
    const node = h("span", { class: "region" }, h("b", {}, String(number + 1)));
    node.style.left = `${(100 * left) / width}%`;
    node.style.top = `${(100 * top) / height}%`;
    node.style.width = `${(100 * (right - left)) / width}%`;
    node.style.height = `${(100 * (bottom - top)) / height}%`;
    return node;
  });
  return h(
    "div",
    { class: "region-picture", "aria-hidden": "true" },
    h("img", { src: imageUrl(image), alt: "" }),
    boxes,
  );
}

function listed({ regions }) {
  if (!regions.length) return h("p", { role: "status" }, "Nothing found; lower the confidence.");
  return h(
    "div",
    { role: "status" },
    h("p", {}, regions.length === 1 ? "1 region:" : `${regions.length} regions:`),
    h(
      "ol",
      {},
      regions.map((region) => h("li", {}, textOf(region))),
    ),
  );
}
