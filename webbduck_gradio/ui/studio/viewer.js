// @ts-check
// The viewer: the job that this page follows, its preview, progress, images and errors.
import { last, subscribe } from "../shared/bus.js";
import { compareIn } from "../shared/compare.js";
import { h, listenerSignal, phone, put } from "../shared/dom.js";
import { icon, iconButton } from "../shared/icons.js";
import { getStored, setStored, thisTab } from "../shared/preferences.js";
import { imageIndex, imageSeed } from "../shared/seeds.js";
import { callOrToast } from "../shared/server_call.js";
import { focusAction, toast } from "../shared/toast.js";
import { imageUrl, previewUrl, thumbUrl } from "../shared/urls.js";
import { menu } from "../shared/widgets.js";
import { setUnavailable } from "../shared/unavailable.js";
import { openZoom } from "../shared/zoom.js";
import * as form from "./form.js";
import { fill, keepForUndo } from "./settings_menu.js";
import { viewSettings } from "./view_settings.js";
import { settingsMenu } from "./viewer_about.js";
import { comparable } from "./viewer_compare.js";
import { makeControls } from "./viewer_controls.js";
import { emptyState } from "./viewer_empty.js";
import { makeFavourite } from "./viewer_favourite.js";
import { makeNotices, offerDefaults } from "./viewer_notices.js";
import { makeSpoken } from "./viewer_spoken.js";
import { makeStatusLine } from "./viewer_status.js";
import { makeStrip } from "./viewer_strip.js";
import { makeUpscale } from "./viewer_upscale.js";

/** What is shown for a job that is not running, but not at its end either. */
const WAITS = { queued: "Waiting in the queue", suspended: "Put aside" };

/** @param {GradioView} view */
export default function start({ element, props, trigger, server }) {
  const find = (name) => element.querySelector(`.${name}`);
  const notices = find("notices");
  const canvas = find("canvas");
  const now = find("now");
  const row = find("now-row");
  const strip = find("strip");
  const picture = h("img", { alt: "", class: "main" });
  const bar = h("div", { class: "bar" });
  const track = h(
    "div",
    {
      class: "track",
      role: "progressbar",
      "aria-label": "Progress",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
    },
    bar,
  );
  const tool = (name, title, action, drawing = name) =>
    iconButton(drawing, title, action, { class: `tool ${name}` });
  const take = (purpose) => {
    keepForUndo();
    trigger("use_image", { id: shown.image, purpose });
  };
  const download = h(
    "a",
    { class: "tool download", download: "", title: "Download", "aria-label": "Download" },
    icon("download"),
  );
  const favourite = tool("favourite", "Favourite", () => marked.toggle(), "heart");
  const upscaleTool = tool("upscale", "Upscale", null);
  const compareTool = tool("compare", "Compare", () => compare());
  const aboutTool = tool("about", "Generation settings", null, "info");
  // Grouped: view, reuse, keep or delete.
  const tools = h(
    "div",
    { class: "tools", role: "toolbar", "aria-label": "Picture" },
    tool("zoom", "Zoom", () => openZoom(picture.src, picture.alt)),
    compareTool,
    aboutTool,
    tool("inpaint", "Inpaint: paint a mask", () => take("inpaint")),
    tool("input", "Use as input picture", () => take("img2img")),
    upscaleTool,
    tool("seed", "Use its seed", () => fill({ seed: shown.seed }, "Seed replaced.")),
    h("span", { class: "gap", "aria-hidden": "true" }),
    favourite,
    download,
    tool("delete", "Delete (move to the trash)", () => remove(), "trash"),
  );
  const waitingText = h("p", { class: "placeholder", "aria-hidden": "true" });
  const frame = h("figure", { class: "frame" }, waitingText, picture, tools, track);
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
    for (const old of notices.querySelectorAll(".notice.error")) old.remove();
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
      if (chosen && !(own && own.status === "running" && own !== chosen)) return chosen;
    }
    if (own && own.status !== "queued") return own;
    return (
      running() ?? own ?? all().find((job) => job.finished && job.images.some((id) => !gone.has(id))) ?? null
    );
  }

  const speak = makeSpoken(find("spoken"));
  const drawControls = makeControls({ find, trigger, follow, redraw: draw });
  const { notice, aboutAsked, queueNotices, clearAsked } = makeNotices(notices);
  let wantedSource = "";
  /** Swap the picture once the new one has loaded, to avoid flicker; a missing picture is not shown. */
  function showPicture(source, alt) {
    picture.alt = alt;
    if (frame.parentNode !== canvas) {
      picture.hidden = true;
      put(canvas, frame);
    }
    if (wantedSource === source) return;
    wantedSource = source;
    const next = new Image();
    next.onload = () => {
      if (wantedSource !== source) return;
      picture.src = source;
      picture.hidden = false;
    };
    next.onerror = () => {
      const id = shown.picture;
      if (wantedSource !== source || !id || source !== imageUrl(id)) return;
      gone.add(id);
      draw();
    };
    next.src = source;
  }
  /**
   * Reserve the space of a picture that does not exist yet, in its proportions, so that nothing moves later.
   */
  function showPlaceholder(text) {
    wantedSource = "";
    picture.hidden = true;
    picture.alt = "";
    waitingText.textContent = text;
    if (frame.parentNode !== canvas) put(canvas, frame);
  }
  /** Progress and Cancel are over the picture while it is generated, and below it afterwards. */
  function placeNow(over) {
    const place = over ? frame : row;
    if (now.parentNode !== place) place.append(now);
  }

  /** On a phone the toolbar has its own row, where it covers nothing. */
  function placeTools() {
    const place = phone.matches ? find("tools-row") : frame;
    if (tools.parentNode !== place) place.append(tools);
  }
  phone.addEventListener("change", placeTools, { signal: listenerSignal("viewer") });
  placeTools();

  const drawStrip = makeStrip(strip, (job, id) => {
    picked = { job: job.job_id, image: id };
    draw();
  });

  /** The selected checkpoint, which decides which examples are offered. */
  let base = null;
  subscribe("form", (state) => {
    if (state.base_model === base) return;
    base = state.base_model;
    if (jobs && !current()) empty();
  });

  function empty() {
    wantedSource = "";
    placeNow(false);
    put(canvas, emptyState({ props, isStarter: base === "webbduck-starter" }));
  }

  function draw() {
    if (!jobs) return;
    const job = current();
    const active = job?.status === "running";
    if (!job) {
      empty();
      now.hidden = true;
      drawStrip(null);
      return statusLine();
    }
    const view = active && live.job_id === job.job_id ? { ...job, ...live } : job;
    const images = view.images.filter((id) => !gone.has(id));
    const wanted = picked?.job === job.job_id ? picked.image : null;
    const preview = active && view.preview && !wanted && settings.showsPreview;
    const original = wanted ?? (preview ? null : images.at(-1));
    const image = upscale.upscaledOf(original);
    const open = active || job.status in WAITS;
    frame.style.setProperty("--ratio", `${job.request.width} / ${job.request.height}`);
    if (comparing && shown.image !== original) endComparing();
    shown = { seed: null, image: original ?? null, picture: image ?? null, job };
    if (preview) showPicture(previewUrl(view), `Preview: ${job.request.prompt}`);
    else if (image) {
      showPicture(imageUrl(image), job.request.prompt || "Finished picture");
      shown.seed = seedOf(job, original);
      download.href = imageUrl(image);
      marked.show(original);
    } else if (open) showPlaceholder(active ? "" : WAITS[job.status]);
    else {
      wantedSource = "";
      placeNow(false);
      put(
        canvas,
        h(
          "div",
          { class: "empty" },
          h(
            "p",
            {},
            job.images.length
              ? "The picture no longer exists."
              : "Your settings are unchanged; press Generate to try again.",
          ),
        ),
      );
    }
    placeNow(open && frame.parentNode === canvas);
    frame.classList.toggle("preview", Boolean(preview));
    tools.hidden = !image;
    setUnavailable(compareTool, otherImages().length ? null : "There is no other picture to compare with.");
    track.hidden = !active;
    bar.style.width = `${(view.progress * 100).toFixed(1)}%`;
    track.setAttribute("aria-valuenow", Math.round(view.progress * 100));

    now.hidden = false;
    now.dataset.state = job.status;
    find("headline").textContent = view.headline;
    speak(job, view);
    const own = all().find((each) => each.job_id === mine);
    const waits = own && own !== job && own.status === "queued";
    find("mine").textContent = waits ? `Your job: ${own.headline.toLowerCase()}` : "";
    const left = (job.request.num_images ?? 1) - images.length;
    drawControls({ job, view, left, elsewhere: running(), paused: jobs.paused });

    for (const old of notices.querySelectorAll(".of-job")) {
      if (!old.dataset.key.startsWith(job.job_id)) old.remove();
    }
    for (const warning of job.warnings) notice("warning", warning, `${job.job_id} ${warning}`);
    if (job.error && job.job_id === mine) notice("error", job.error, `${job.job_id} ${job.error}`);

    // The strip has a slot for every picture of the batch from the start, so that nothing moves later.
    const pending = open ? Math.max(0, (job.request.num_images ?? 1) - view.images.length) : 0;
    drawStrip({ job, images, pending, selected: original });
    statusLine();
  }

  const upscale = makeUpscale(upscaleTool, {
    start: (scale) => trigger("upscale", { id: shown.image, scale }),
    failed: (job) => notice("error", job.error ?? job.headline, `asked ${job.job_id}`),
  });
  menu(aboutTool, "Generation settings", (close) => settingsMenu(shown, close));

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

  async function remove() {
    const id = shown.image;
    const done = await callOrToast(
      () => server.webbduck_remove(id),
      "The server did not answer; nothing was deleted.",
    );
    if (!done) return;
    gone.add(id);
    picked = null;
    draw();
    toast("Moved to the trash.", async () => {
      if (!(await callOrToast(() => server.webbduck_bring_back(done.id)))) return;
      gone.delete(id);
      draw();
      tools.querySelector(".delete").focus();
    });
    // The button that had the focus may have disappeared with the picture; move the focus to Undo.
    if (document.activeElement === document.body || !tools.isConnected || tools.hidden) {
      focusAction();
    }
  }

  let comparing = null;
  const otherImages = () => comparable(shown, gone, all());
  function compare() {
    if (comparing) return endComparing();
    comparing = compareIn(frame, otherImages());
    compareTool.setAttribute("aria-pressed", "true");
  }
  function endComparing() {
    comparing.end();
    comparing = null;
    compareTool.setAttribute("aria-pressed", "false");
  }
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
    queueNotices(jobs);
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
    clearAsked();
    form.clearServerProblems();
    for (const note of value.notes ?? []) aboutAsked("warning", note, `asked note ${value.at} ${note}`);
    if (value.error && !(value.field && form.showProblem(value.field, value.error))) {
      aboutAsked("error", value.error, `asked ${value.at}`, offerDefaults(value.defaults));
    }
    if (value.upscale) upscale.begin(value.upscale);
    if (value.job_id) {
      settings.follow(value.job_id);
      follow(value.job_id);
    }
  });
}
