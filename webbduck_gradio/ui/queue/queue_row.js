// @ts-check
// What a queue row shows of a job.
import { h, put } from "../shared/dom.js";
import { duration, timeAgo } from "../shared/format.js";
import { conditionsOf, labelOf, percent, summaryOf, withUnit } from "../shared/settings.js";
import { inputUrl, previewUrl, thumbUrl } from "../shared/urls.js";

/** How many seconds the server's clock is ahead of the browser's. */
let clock = 0;
export function setClock(serverTime) {
  clock = serverTime - Date.now() / 1000;
}

/** The server's time, in seconds since 1970. */
export const now = () => Date.now() / 1000 + clock;
export const isOpen = (job) => ["queued", "running", "suspended"].includes(job.status);
export const isRetryable = (job) => ["failed", "cancelled", "interrupted"].includes(job.status);
/** Jobs that generate pictures; only these are shown in the Studio. */
export const generates = (job) => ["generate", "test"].includes(job.kind);
export const promptOf = (job) => job.title || job.request.prompt || "(no prompt)";

/** The buttons of a row, by name: whether the job has it now. */
export function actsOf(job) {
  const open = isOpen(job);
  const queued = job.status === "queued";
  const cancelling = job.cancelling && !job.cancel_after_image;
  return {
    watch: open && generates(job),
    gallery: job.images.length > 0,
    after: job.status === "running" && !job.cancelling && (job.request.num_images ?? 1) > job.image_index + 1,
    top: queued,
    up: queued,
    down: queued,
    aside: job.can_suspend && !cancelling,
    continue: job.can_continue,
    retry: isRetryable(job),
    again: job.status === "completed" && generates(job),
    edit: generates(job),
    remove: !open,
    cancel: open,
  };
}

/** "Text to image", "Test, inpaint", "Upscale 2×". */
export function modeOf(job) {
  const request = job.request;
  if (job.kind === "upscale") return `Upscale ${request.scale}×`;
  if (job.kind === "redraw") return `Upscale ${request.scale}× with detail`;
  if (job.kind === "caption") return "Caption";
  if (job.kind === "detect") return "Find regions";
  const modes = {
    text2img: "Text to image",
    img2img: "Image to image",
    inpaint: "Inpaint",
    outpaint: "Outpaint",
  };
  const mode = modes[job.mode];
  const passes = request.second_pass_model ? ", two passes" : "";
  return (job.kind === "test" ? `Test, ${mode.toLowerCase()}` : mode) + passes;
}

/** What a row says of its job's settings, in parts: first the mode. */
export function factsOf(job) {
  const { request } = job;
  const facts = [
    modeOf(job),
    ...summaryOf("queue", request, conditionsOf(request, null)),
    request.upscaler,
    request.drawing?.base_model,
    request.captioner,
    request.detector,
    request.style?.replaceAll("_", " "),
    job.owner && `by ${job.owner}`,
  ];
  return facts.filter(Boolean);
}

/** The facts that several jobs have in common; their list says them once, in place of each row. */
export function commonFacts(jobs) {
  if (jobs.length < 2) return [];
  const [first, ...others] = jobs.map(factsOf);
  return first.filter((fact) => others.every((facts) => facts.includes(fact)));
}

/** The place in line is beside the grip, and what holds for the whole queue is said above it. */
export const stateOf = (job) => (job.status === "queued" ? "Queued" : job.headline);

/** How long the job has waited and run; depends on the current time. */
export function timesOf(job) {
  const queued = job.continued ?? job.created;
  if (job.status === "queued") return `waiting for ${duration(now() - queued)}`;
  const waited = job.started && `waited ${duration(job.started - queued)}`;
  if (job.status === "running") return `running for ${duration(now() - job.started)}, ${waited}`;
  if (job.status === "suspended") return `put aside ${timeAgo(job.suspended, now())}`;
  const end = `ended ${timeAgo(job.finished, now())}`;
  return waited ? `${end}, ${waited}` : end;
}

const regionText = (region) => `${region.class} ${percent(region.confidence)}`;

function detailText(name, value) {
  if (value === null || value === "" || (Array.isArray(value) && !value.length)) return "none";
  if (name === "regions") return value.map(regionText).join(", ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "object" && !Array.isArray(value)) return JSON.stringify(value);
  return name === "max_tokens" ? `${value} tokens` : withUnit(name, value);
}

/** The settings in use, the result, and facts about the job. */
export function detailsOf(job) {
  const clockTime = (time) => time && new Date(time * 1000).toLocaleString();
  const about = {
    job: job.job_id,
    queued: clockTime(job.created),
    started: clockTime(job.started),
    "put aside": clockTime(job.suspended),
    "went on": clockTime(job.continued),
    ended: clockTime(job.finished),
    "queued by": job.owner,
    "retry of": job.retry_of,
    "seconds per step": job.seconds_per_step?.toFixed(2),
    folder: job.run,
  };
  const pair = (name, text) => [h("dt", {}, labelOf(name)), h("dd", {}, text)];
  const used = Object.entries(job.told);
  return [
    ...used.flatMap(([name, value]) => pair(name, detailText(name, value))),
    ...(job.result
      ? Object.entries(job.result)
          .filter(([name]) => !(name in job.request))
          .flatMap(([name, value]) => pair(name, detailText(name, value)))
      : []),
    ...Object.entries(about)
      .filter(([, value]) => value)
      .flatMap(([name, value]) => pair(name, value)),
  ];
}

/** A job's thumbnail: its live preview, else its last picture, else its input picture. */
function thumbOf(job) {
  if (job.status === "running" && job.preview) return previewUrl(job);
  if (job.images.length) return thumbUrl(job.images.at(-1));
  return job.request.image ? inputUrl(job.request.image) : "";
}

export function drawThumb(place, job) {
  const source = thumbOf(job);
  const image = place.querySelector("img");
  if (!source) {
    if (!place.querySelector(".blank")) {
      const ratio = (job.request.width ?? 1) / (job.request.height ?? 1);
      const side = 26;
      const blank = h("i", { class: "blank" });
      blank.style.width = `${ratio >= 1 ? side : side * ratio}px`;
      blank.style.height = `${ratio >= 1 ? side / ratio : side}px`;
      put(place, blank);
    }
  } else if (!image) {
    put(
      place,
      h("img", { src: source, alt: "", draggable: false, onerror: (event) => event.target.remove() }),
    );
  } else if (image.getAttribute("src") !== source) image.src = source;
}

/** Thumbnails of a batch's finished pictures, each linked to the gallery. */
export function drawStrip(strip, job, open) {
  const images = (job.request.num_images ?? 1) > 1 ? job.images : [];
  if (strip.dataset.key === images.join()) return;
  strip.dataset.key = images.join();
  put(
    strip,
    images.map((id, index) =>
      h(
        "button",
        {
          type: "button",
          title: "Show in the gallery",
          "aria-label": `Show picture ${index + 1}, seed ${job.seeds[index]}, in the gallery`,
          onclick: () => open(id),
        },
        h("img", {
          src: thumbUrl(id),
          alt: "",
          loading: "lazy",
          draggable: false,
          onerror: (event) => event.target.closest("button").remove(),
        }),
      ),
    ),
  );
}
