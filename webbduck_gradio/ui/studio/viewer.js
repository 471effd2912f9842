// @ts-check
// The viewer: the job that this page follows, its preview, progress, images and errors.
import { last, publish, subscribe } from "../shared/bus.js";
import { h, put, setText } from "../shared/dom.js";
import { number } from "../shared/format.js";
import { hiresSettings } from "../shared/hires.js";
import { icon, iconButton } from "../shared/icons.js";
import { getStored, setStored, thisTab } from "../shared/preferences.js";
import { imageIndex, imageSeed } from "../shared/seeds.js";
import { imageUrl, previewUrl, thumbUrl } from "../shared/urls.js";
import { menu } from "../shared/widgets.js";
import { setUnavailable } from "../shared/unavailable.js";
import { openZoom } from "../shared/zoom.js";
import { variantName } from "../shared/variants.js";
import * as form from "./form.js";
import { fill, keepForUndo } from "./settings_menu.js";
import { viewSettings } from "./view_settings.js";
import { settingsMenu } from "./viewer_about.js";
import { comparable, makeComparison } from "./viewer_compare.js";
import { makeControls } from "./viewer_controls.js";
import { makeDelete } from "./viewer_delete.js";
import { emptyState, withoutPicture } from "./viewer_empty.js";
import { makeFavourite } from "./viewer_favourite.js";
import { makeFrame } from "./viewer_frame.js";
import { makeGrid } from "./viewer_grid.js";
import { makeNotices, offerDefaults } from "./viewer_notices.js";
import { makeSending } from "./viewer_sending.js";
import { makeSpoken } from "./viewer_spoken.js";
import { makeStatusLine } from "./viewer_status.js";
import { makeStrip } from "./viewer_strip.js";
import { placeTools } from "./viewer_tools.js";
import { makeUpscale, upscalingHeadline } from "./viewer_upscale.js";

/** What is shown for a job that is not running, but not at its end either. */
const WAITS = { queued: "Waiting in the queue", suspended: "Put aside" };

/** @param {GradioView} view */
export default function start({ element, props, trigger, server }) {
  const find = (name) => element.querySelector(`.${name}`);
  const canvas = find("canvas");
  const now = find("now");
  const row = find("now-row");
  const strip = find("strip");
  const tool = (name, title, action, drawing = name) =>
    iconButton(drawing, title, action, { class: `tool ${name}` });
  const take = (id, purpose) => {
    keepForUndo();
    trigger("use_image", { id, purpose });
  };
  const download = h(
    "a",
    { class: "tool download", download: "", title: "Download", "aria-label": "Download" },
    icon("download"),
  );
  const favourite = tool("favourite", "Favourite", () => marked.toggle(), "heart");
  const upscaleTool = tool("upscale", "Upscale", null);
  const compareTool = tool("compare", "Compare", () => comparison.toggle());
  const aboutTool = tool("about", "Generation settings", null, "info");
  // Grouped: view, reuse, keep or delete.
  const tools = h(
    "div",
    { class: "tools", role: "toolbar", "aria-label": "Picture" },
    tool("zoom", "Zoom", () => openZoom(picture.src, picture.alt)),
    compareTool,
    aboutTool,
    tool("inpaint", "Inpaint: paint a mask", () => take(shown.image, "inpaint")),
    tool("outpaint", "Outpaint: extend the picture", () => take(shown.image, "outpaint")),
    tool("input", "Use as input picture", () => take(shown.image, "img2img")),
    upscaleTool,
    tool("hires", "Hires fix: redraw it larger", () =>
      trigger("hires", { id: shown.image, settings: hiresSettings() }),
    ),
    tool("seed", "Use its seed", () => fill({ seed: shown.seed }, "Seed replaced.")),
    h("span", { class: "gap", "aria-hidden": "true" }),
    favourite,
    download,
    tool("delete", "Delete (move to the trash)", () => remove(), "trash"),
  );
  const display = makeFrame({
    canvas,
    tools,
    loaded: () => drawSize(),
    missing(source) {
      if (!shown.image || source !== imageUrl(shown.image)) return;
      gone.add(shown.image);
      draw();
    },
  });
  const { frame, picture } = display;
  const marked = makeFavourite(favourite, { server, current: () => shown.image });
  let jobs = null;
  let live = {};
  let mine = getStored("job", null, thisTab);
  let watched = null;
  let picked = null;
  let shown = {};

  const seedOf = (job, id) =>
    job.job_id === null ? job.request.seed : imageSeed(job.request, imageIndex(id));
  /** Ids of deleted or missing pictures. */
  const gone = new Set();
  /** Jobs that generate pictures. Upscaled images and captions are shown where they were requested. */
  const generates = (job) => job.kind === "generate" || job.kind === "test";
  const all = () => (jobs ? [...jobs.jobs, ...jobs.suspended, ...jobs.recent].filter(generates) : []);
  const running = () => all().find((job) => job.job_id === jobs.active_job_id) ?? null;

  /** Follow a job: this page's latest, or with `chosen` one that is shown even while it is queued. */
  function follow(id, chosen = false) {
    mine = id;
    watched = chosen ? id : null;
    picked = null;
    setStored("job", id || null, thisTab);
    notices.clearErrors();
    draw();
  }

  /**
   * The job to show: the chosen one; else this page's own; else the running one; else the last one with
   * pictures.
   */
  function current() {
    const asked = watched && all().find((job) => job.job_id === watched);
    if (asked && !picked) return asked;
    const own = all().find((job) => job.job_id === mine);
    if (picked) {
      const chosen = picked.record ?? all().find((job) => job.job_id === picked.job);
      const isBehind = own && own.status === "running" && own !== chosen && own.job_id !== picked.beside;
      if (chosen && !isBehind) return chosen;
    }
    if (own && own.status !== "queued") return own;
    return (
      running() ?? own ?? all().find((job) => job.finished && job.images.some((id) => !gone.has(id))) ?? null
    );
  }

  const speak = makeSpoken(find("spoken"));
  const drawControls = makeControls({ find, trigger, follow, redraw: draw });
  const isSending = makeSending(() => draw());
  const notices = makeNotices(find("notes"));
  /** Progress and Cancel are over the picture while it is generated, and below it afterwards. */
  function placeNow(over) {
    const place = over ? frame : row;
    if (now.parentNode !== place) place.append(now);
  }

  placeTools(tools, { frame, row: find("tools-row") });

  /** Show this picture of a job, or of what stands for one that the page does not know. */
  function look(job, id) {
    // Looked at beside this page's job if that runs, and until it runs if it waits.
    const beside = running()?.job_id === mine ? mine : null;
    picked = { job: job.job_id, image: id, record: all().includes(job) ? null : job, beside };
    draw();
  }
  const drawStrip = makeStrip(strip, look);
  const toggle = find("grid-toggle");
  toggle.title = "The batch as a grid (G)";
  put(toggle, icon("grid"));
  const grid = makeGrid({ stage: find("stage"), canvas, toggle, pick: look, changed: () => draw() });

  /** The selected checkpoint, which decides which examples are offered. */
  let base = null;
  subscribe("form", (state) => {
    if (state.base_model === base) return;
    base = state.base_model;
    if (jobs && !current()) empty();
  });

  function empty() {
    placeNow(false);
    display.leave(emptyState({ props, isStarter: base === "webbduck-starter" }));
  }

  /** Generate was pressed, and its job is not known yet. */
  function drawSending() {
    const { width, height } = form.state() ?? {};
    if (width > 0 && height > 0) display.shape(width, height);
    comparison.end();
    shown = { ...shown, seed: null, image: null };
    display.wait("");
    display.progress(0);
    placeNow(true);
    tools.hidden = true;
    now.hidden = false;
    now.dataset.state = "queued";
    find("headline").textContent = "Sending";
    for (const button of now.querySelectorAll("button")) button.hidden = true;
    drawSize();
  }

  function draw() {
    if (!jobs) return;
    const job = current();
    const active = job?.status === "running";
    if (isSending(all()) && !active) return drawSending();
    if (!job) {
      empty();
      now.hidden = true;
      shown = {};
      drawSize();
      drawStrip(null);
      grid.draw(null);
      return statusLine();
    }
    const view = active && live.job_id === job.job_id ? { ...job, ...live } : job;
    const images = view.images.filter((id) => !gone.has(id));
    const wanted = picked?.job === job.job_id ? picked.image : null;
    const preview = active && view.preview && !wanted && settings.showsPreview;
    const image = wanted ?? (preview ? null : images.at(-1));
    const original = image && upscale.originalOf(image);
    const copies = images.flatMap(upscale.copiesOf).filter((id) => !gone.has(id));
    const open = active || job.status in WAITS;
    display.shape(job.request.width, job.request.height);
    if (shown.image !== (image ?? null)) comparison.end();
    const ownCopies = image ? upscale.copiesOf(image).filter((id) => !gone.has(id)) : [];
    shown = { seed: null, image: image ?? null, original, copies: ownCopies, job };
    if (preview) display.show(previewUrl(view), `Preview: ${job.request.prompt}`);
    else if (image) {
      display.show(imageUrl(image), job.request.prompt || "Finished picture");
      shown.seed = seedOf(job, image);
      download.href = imageUrl(image);
      marked.show(image);
    } else if (open) display.wait(active ? "" : WAITS[job.status]);
    else {
      placeNow(false);
      display.leave(withoutPicture(job));
    }
    const entries = [...images, ...copies];
    const upscaling = open ? null : upscale.jobOf(jobs, [...entries, form.state()?.image]);
    const pending = open ? Math.max(0, (job.request.num_images ?? 1) - view.images.length) : 0;
    const ratio = job.request.width / job.request.height;
    const drawn = active && view.preview && settings.showsPreview ? previewUrl(view) : null;
    grid.draw({ job, images, pending, selected: image, ratio, preview: drawn });
    placeNow((open || Boolean(upscaling)) && display.isShown && !grid.isOpen);
    frame.classList.toggle("preview", Boolean(preview));
    tools.hidden = !image;
    setUnavailable(
      compareTool,
      comparable(shown, gone, all()).length ? null : "There is no other picture to compare with.",
    );
    drawSize();

    // What is said and steered: the upscaling of a picture that is shown, otherwise the job that made it.
    const task = upscaling ?? job;
    const state = task.status === "running" && live.job_id === task.job_id ? { ...task, ...live } : task;
    const starts = task.status === "queued" && task.position === 1 && !jobs.active_job_id && !jobs.paused;
    const headline = upscaling ? upscalingHeadline(task, state.headline) : state.headline;
    display.progress(task.status === "running" || starts ? state.progress : null);
    now.hidden = false;
    now.dataset.state = task.status;
    find("headline").textContent = headline;
    speak(task, { ...state, headline });
    const own = all().find((each) => each.job_id === mine);
    const waits = own && own !== job && own.status === "queued";
    find("mine").textContent = waits ? `Your job: ${own.headline.toLowerCase()}` : "";
    const left = (job.request.num_images ?? 1) - images.length;
    drawControls({ job: task, view: state, left, elsewhere: running(), paused: jobs.paused });

    notices.jobNotices(job, job.job_id === mine);

    // The strip has a slot for every picture of the batch from the start, so that nothing moves later.
    const order = images.flatMap((id) => [id, ...copies.filter((copy) => upscale.originalOf(copy) === id)]);
    if (last.get("shown") !== shown.image) publish("shown", shown.image);
    drawStrip({ job, images: order, copies: new Set(copies), pending, selected: image });
    statusLine();
  }

  /** The size of the picture that is shown, in px. */
  function drawSize() {
    const isThere = shown.image && picture.getAttribute("src") === imageUrl(shown.image) && !picture.hidden;
    const { naturalWidth, naturalHeight } = picture;
    const { image, original } = shown;
    const variant = image && image !== original ? `, ${variantName(image)}` : "";
    setText(
      find("picture-size"),
      isThere ? `${number(naturalWidth)} × ${number(naturalHeight)} px${variant}` : "",
    );
  }

  const upscale = makeUpscale(upscaleTool, {
    server,
    image: () => shown.image,
    start: (asked) => trigger("upscale", { id: shown.image, ...asked }),
    changed: () => draw(),
    done(original, copy) {
      if (shown.image === original) look(shown.job, copy);
    },
    failed: (job) => notices.notice("error", job.error ?? job.headline, `asked ${job.job_id}`),
  });
  menu(aboutTool, "Generation settings", (close) => settingsMenu(shown, close));

  const remove = makeDelete(tools, {
    server,
    current: () => shown.image,
    deleted(id) {
      gone.add(id);
      picked = null;
      draw();
    },
    restored(id) {
      gone.delete(id);
      draw();
    },
  });
  const comparison = makeComparison(compareTool, frame, () => comparable(shown, gone, all()));

  subscribe("gallery", async () => {
    marked.forget();
    for (const id of gone) {
      // a picture may have been restored in the gallery
      const found = await fetch(thumbUrl(id), { method: "HEAD", cache: "no-store" }).catch(() => null);
      if (found?.ok) {
        gone.delete(id);
        draw();
      }
    }
  });

  picture.addEventListener("dblclick", () => openZoom(picture.src, picture.alt));
  const settings = viewSettings(() => draw());
  if (mine) settings.follow(mine);
  const drawStatus = makeStatusLine({
    line: find("statusline"),
    server,
    props,
    settings,
    resume: () => trigger("resume_queue", {}),
    changed(device) {
      jobs.device = device;
      delete live.device;
      statusLine();
    },
  });
  function statusLine() {
    const seeds = all().filter((job) => job.seeds.length);
    const own = seeds.find((job) => job.job_id === mine);
    const seed = shown.seed ?? own?.seeds.at(-1) ?? seeds.find((job) => job.finished)?.seeds.at(-1);
    last.set("seed", seed ?? null);
    drawStatus({ seed, device: live.device ?? jobs.device ?? {}, jobs });
  }

  subscribe("jobs", (value) => {
    const first = !jobs;
    jobs = value;
    // A reopened page follows the running job, unless its own job is still queued or running.
    if (first && mine && running() && !jobs.jobs.some((job) => job.job_id === mine)) mine = null;
    if (first) settings.ignore(jobs.recent);
    upscale.followJobs(jobs);
    settings.notify(jobs.recent);
    notices.queueNotices(jobs);
    draw();
  });
  let pickedBefore = null;
  /** The form was filled with the settings of this {image, job}; null: that was undone. */
  subscribe("picture", (value) => {
    if (!value) {
      if (picked?.filled) picked = pickedBefore;
      return draw();
    }
    if (!picked?.filled) pickedBefore = picked;
    const { image, job } = value;
    const listed = all().find((each) => each.images.includes(image));
    picked = { job: (listed ?? job).job_id, image, record: listed ? null : job, filled: true };
    draw();
  });
  subscribe("look", ({ image, job }) =>
    look(all().find((each) => each.images.includes(image)) ?? job, image),
  );
  subscribe("take", ({ id }) => take(id, "img2img"));
  subscribe("follow", (value) => follow(value.job_id, Boolean(value.chosen)));
  subscribe("live", (value) => {
    live = value;
    draw();
  });
  subscribe("catalog", () => {
    if (jobs && !current()) empty();
  });
  let seenOutcome = 0;
  subscribe("outcome", (value) => {
    if (value.at === seenOutcome || value.where) return;
    seenOutcome = value.at;
    notices.clearAsked();
    form.clearServerProblems();
    for (const note of value.notes ?? []) notices.notice("warning", note, `asked at ${value.at} ${note}`);
    if (value.error && !(value.field && form.showProblem(value.field, value.error))) {
      const offer = offerDefaults(value.defaults);
      notices.notice("error", value.error, `asked at ${value.at}`, { offer });
    }
    if (value.upscale) upscale.begin(value.upscale, jobs);
    if (value.job_id) {
      settings.follow(value.job_id);
      follow(value.job_id);
    }
  });
}
