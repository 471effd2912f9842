// @ts-check
// The picture: the job that this page follows, its preview and progress, its images, what went wrong.
import { last, subscribe } from "../shared/bus.js";
import { copyText } from "../shared/clipboard.js";
import { compareIn } from "../shared/compare.js";
import { h, phone, put } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { icon, iconButton } from "../shared/icons.js";
import { getPref, getStored, setPref, setStored, thisTab } from "../shared/preferences.js";
import { imageIndex, imageSeed } from "../shared/seeds.js";
import { callOrToast, callServer } from "../shared/server_call.js";
import { showShortcuts } from "../shared/shortcuts.js";
import { openTab } from "../shared/tabs.js";
import { focusAction, toast } from "../shared/toast.js";
import { imageUrl, previewUrl, thumbUrl } from "../shared/urls.js";
import { menu } from "../shared/widgets.js";
import { openZoom } from "../shared/zoom.js";
import * as form from "./form.js";
import { changeSettings } from "./settings_menu.js";

/** @param {GradioView} view */
export default function start({ element, props, trigger, server }) {
  const find = (name) => element.querySelector(`.${name}`);
  const notices = find("notices");
  const canvas = find("canvas");
  const now = find("now");
  const row = find("now-row");
  const strip = find("strip");
  const line = find("statusline");
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
  const take = (purpose) => trigger("use_image", { id: shown.image, purpose });
  const download = h(
    "a",
    { class: "tool download", download: "", title: "Download", "aria-label": "Download" },
    icon("download"),
  );
  const favourite = tool("favourite", "Favourite", () => toggleFavourite(), "star");
  const enlarge = tool("upscale", "Upscale", null);
  const compareTool = tool("compare", "Compare", () => compare());
  const made = tool("about", "How it was made", null, "info");
  // Looking at it, going on with it, keeping it.
  const tools = h(
    "div",
    { class: "tools", role: "toolbar", "aria-label": "Picture" },
    tool("zoom", "Zoom", () => openZoom(picture.src, picture.alt)),
    compareTool,
    made,
    tool("inpaint", "Inpaint: paint a mask on it", () => take("inpaint")),
    tool("input", "Use as input picture", () => take("img2img")),
    enlarge,
    tool("seed", "Use its seed", () => trigger("use_seed", { seed: shown.seed })),
    h("span", { class: "gap", "aria-hidden": "true" }),
    favourite,
    download,
    tool("delete", "Delete; it can be restored", () => remove(), "trash"),
  );
  const waitingText = h("p", { class: "coming", "aria-hidden": "true" });
  const frame = h("figure", { class: "frame" }, waitingText, picture, tools, track);
  let jobs = null;
  let live = {};
  let mine = getStored("job", null, thisTab);
  let watched = null;
  let picked = null;
  let shown = {};

  const seedOf = (job, id) => imageSeed(job.request.seed, imageIndex(id));
  /** Pictures that were deleted. */
  const gone = new Set();
  let stoppable = null;
  let settling = false;
  /** Jobs that paint; larger copies and captions are shown where they were asked for. */
  const paints = (job) => job.kind === "generate" || job.kind === "test";
  const all = () => (jobs ? [...jobs.jobs, ...jobs.recent].filter(paints) : []);
  const running = () => all().find((job) => job.job_id === jobs.active_job_id) ?? null;

  /** Follow a job: this page's own latest, or with `chosen` one that is shown also while it waits. */
  function follow(id, chosen = false) {
    mine = id;
    watched = chosen ? id : null;
    picked = null;
    setStored("job", id || null, thisTab);
    for (const old of notices.querySelectorAll(".notice.error")) old.remove();
    draw();
  }

  /**
   * The job to show: the one that was chosen; else this page's own; else the running one; else the last that
   * has pictures.
   */
  function current() {
    const asked = watched && all().find((job) => job.job_id === watched);
    if (asked && !picked) return asked;
    const own = all().find((job) => job.job_id === mine);
    if (picked) {
      const chosen = all().find((job) => job.job_id === picked.job);
      if (chosen && !(own && own.status === "running" && own !== chosen)) return chosen;
    }
    if (own && own.status !== "queued") return own;
    return (
      running() ?? own ?? all().find((job) => job.finished && job.images.some((id) => !gone.has(id))) ?? null
    );
  }

  const MOST_READ = 200;
  const dismissed = new Set(getPref("readNotices", []));
  /** What was read stays away, also after a reload. */
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

  /** What concerns the whole queue: why the studio paused it, what was wrong at the start. */
  function queueNotices() {
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

  let coming = "";
  let stripKey = "";
  /** Swap the picture once the new one has loaded, so that nothing flickers; a missing one is not shown. */
  function showPicture(source, alt) {
    picture.alt = alt;
    if (frame.parentNode !== canvas) {
      picture.hidden = true;
      put(canvas, frame);
    }
    if (coming === source) return;
    coming = source;
    const next = new Image();
    next.onload = () => {
      if (coming !== source) return;
      picture.src = source;
      picture.hidden = false;
    };
    next.onerror = () => {
      const id = shown.picture;
      if (coming !== source || !id || source !== imageUrl(id)) return;
      gone.add(id);
      draw();
    };
    next.src = source;
  }
  /** The place of a picture that is not there yet, of its proportions, so that nothing jumps later. */
  function showPlace(text) {
    coming = "";
    picture.hidden = true;
    picture.alt = "";
    waitingText.textContent = text;
    if (frame.parentNode !== canvas) put(canvas, frame);
  }
  /** Progress and Cancel lie over the picture while it is made, below it afterwards. */
  function placeNow(over) {
    const place = over ? frame : row;
    if (now.parentNode !== place) place.append(now);
  }

  /** On a phone the toolbar has a row of its own, where it covers nothing. */
  function placeTools() {
    const place = phone.matches ? find("tools-row") : frame;
    if (tools.parentNode !== place) place.append(tools);
  }
  phone.addEventListener("change", placeTools);
  placeTools();

  /** The chosen checkpoint, which says what the examples are. */
  let base = null;
  subscribe("form", (state) => {
    if (state.base_model === base) return;
    base = state.base_model;
    if (jobs && !current()) empty();
  });

  function empty() {
    coming = "";
    placeNow(false);
    const starter = base === "webbduck-starter";
    const none = last.get("catalog") && !last.get("catalog").checkpoints.some((each) => each.usable);
    const examples = starter ? props.starter_examples : props.examples;
    put(
      canvas,
      none
        ? h(
            "div",
            { class: "empty" },
            h("h2", {}, "No checkpoints yet"),
            h("p", {}, "Put a .safetensors file into checkpoint/sdxl; it appears here by itself."),
          )
        : h(
            "div",
            { class: "empty" },
            h("h2", {}, "What should the picture show?"),
            h(
              "ol",
              {},
              h(
                "li",
                {},
                "Describe it in words",
                starter ? ": the bundled starter model draws cartoon scenes with ducks." : ".",
              ),
              h(
                "li",
                {},
                "Press Generate, or Ctrl+Enter. It is made on this computer, and nothing is sent anywhere.",
              ),
              h("li", {}, "Every picture is kept in the Gallery with all of its settings."),
            ),
            h("p", {}, "Try one of these:"),
            h(
              "div",
              { class: "examples" },
              examples.map((prompt) =>
                h(
                  "button",
                  {
                    type: "button",
                    onclick: () => {
                      trigger("use_prompt", { prompt });
                      form.entry("prompt")?.focus();
                    },
                  },
                  prompt,
                ),
              ),
            ),
          ),
    );
  }

  function draw() {
    if (!jobs) return;
    const job = current();
    const active = job?.status === "running";
    if (!job) {
      empty();
      now.hidden = true;
      put(strip);
      stripKey = "";
      return statusLine();
    }
    const view = active && live.job_id === job.job_id ? { ...job, ...live } : job;
    const images = view.images.filter((id) => !gone.has(id));
    const wanted = picked?.job === job.job_id ? picked.image : null;
    const preview = active && view.preview && !wanted && settings.preview;
    const original = wanted ?? (preview ? null : images.at(-1));
    const image = larger(original);
    const open = active || job.status === "queued";
    frame.style.setProperty("--ratio", `${job.request.width} / ${job.request.height}`);
    if (comparing && shown.image !== original) endComparing();
    shown = { seed: null, image: original ?? null, picture: image ?? null, job };
    if (preview) showPicture(previewUrl(view), `Preview: ${job.request.prompt}`);
    else if (image) {
      showPicture(imageUrl(image), job.request.prompt || "Finished picture");
      shown.seed = seedOf(job, original);
      download.href = imageUrl(image);
      about(original);
    } else if (open) showPlace(active ? "" : "Waiting in the queue");
    else {
      coming = "";
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
              ? "The picture is no longer there."
              : "All settings are still here; Generate starts again.",
          ),
        ),
      );
    }
    placeNow(open && frame.parentNode === canvas);
    frame.classList.toggle("preview", Boolean(preview));
    tools.hidden = !image;
    compareTool.disabled = !otherImages().length;
    track.hidden = !active;
    bar.style.width = `${(view.progress * 100).toFixed(1)}%`;
    track.setAttribute("aria-valuenow", Math.round(view.progress * 100));

    now.hidden = false;
    now.dataset.state = job.status;
    find("headline").textContent = view.headline;
    const own = all().find((each) => each.job_id === mine);
    const waits = own && own !== job && own.status === "queued";
    find("mine").textContent = waits ? `Yours: ${own.headline.toLowerCase()}` : "";
    // What is shown is what is cancelled.
    const cancel = find("cancel");
    const after = find("after");
    const elsewhere = running();
    cancel.hidden = !["running", "queued"].includes(job.status);
    if (stoppable !== job.job_id) {
      // A press that was meant for the job before must not hit this one.
      if (stoppable) {
        settling = true;
        setTimeout(() => {
          settling = false;
          draw();
        }, 700);
      }
      stoppable = job.job_id;
    }
    cancel.disabled = settling || (Boolean(view.cancelling) && !view.cancel_after_image);
    cancel.onclick = () => {
      cancel.disabled = true;
      trigger("cancel_job", { job_id: job.job_id });
    };
    after.hidden = !active || Boolean(view.cancelling) || images.length + 1 >= (job.request.num_images ?? 1);
    after.onclick = () => {
      after.hidden = true;
      trigger("cancel_job", { job_id: job.job_id, after_image: true });
    };
    find("follow").hidden = !elsewhere || elsewhere === job;
    find("follow").onclick = () => follow(elsewhere.job_id, true);

    for (const old of notices.querySelectorAll(".of-job")) {
      if (!old.dataset.key.startsWith(job.job_id)) old.remove();
    }
    for (const warning of job.warnings) notice("warning", warning, `${job.job_id} ${warning}`);
    if (job.error && job.job_id === mine) notice("error", job.error, `${job.job_id} ${job.error}`);

    // A place for each picture of the batch from the start, so that the strip's coming moves nothing.
    const pending = open ? Math.max(0, (job.request.num_images ?? 1) - view.images.length) : 0;
    const key = [...images, pending].join();
    if (job.request.num_images < 2) {
      put(strip);
      stripKey = "";
    } else if (stripKey !== key) {
      stripKey = key;
      put(
        strip,
        ...images.map((id) =>
          h(
            "button",
            {
              type: "button",
              "data-id": id,
              "aria-label":
                `Picture ${imageIndex(id) + 1} of ${job.request.num_images}, ` + `seed ${seedOf(job, id)}`,
              onclick: () => {
                picked = { job: job.job_id, image: id };
                draw();
              },
            },
            h("img", { src: thumbUrl(id), alt: "", loading: "lazy" }),
          ),
        ),
        ...Array.from({ length: pending }, () => h("span", { class: "pending", "aria-hidden": "true" })),
      );
    }
    for (const each of strip.querySelectorAll("button")) {
      each.setAttribute("aria-pressed", String(each.dataset.id === original));
    }
    statusLine();
  }

  // -- what can be done with the picture --------------------------------------------------------------------

  const enlarged = new Map();
  let enlarging = null;
  /** The larger copy of a picture that was asked for here, once it is there. */
  const larger = (id) => enlarged.get(id) ?? id;
  menu(enlarge, "Make a larger copy", (close) =>
    [2, 4].map((scale) =>
      h(
        "button",
        {
          type: "button",
          class: "menu-item",
          onclick: () => {
            close();
            trigger("upscale", { id: shown.image, scale });
          },
        },
        `${scale} times as large`,
      ),
    ),
  );
  function followEnlarging() {
    const job = enlarging && [...jobs.jobs, ...jobs.recent].find((each) => each.job_id === enlarging);
    if (!job || ["queued", "running"].includes(job.status)) return;
    enlarging = null;
    if (job.status !== "completed") return notice("error", job.error ?? job.headline, `asked ${job.job_id}`);
    enlarged.set(job.request.image, job.images.at(-1));
    toast("The larger copy is shown; Compare sets it beside the original.");
  }

  menu(made, "How it was made", (close) => {
    const { job } = shown;
    const { prompt, negative_prompt, ...rest } = { ...job.told, seed: shown.seed };
    const told = (value, name) =>
      webbduckFacts.values[name]?.[value] ??
      (Array.isArray(value)
        ? value.map((each) => (each.name ? `${each.name} ${each.weight}` : String(each))).join(", ")
        : String(value));
    const rows = Object.entries(rest)
      .filter(([name]) => !["width", "height", "image", "mask", "num_images"].includes(name))
      .map(([name, value]) => [form.called(name), told(value, name)]);
    return [
      h("p", { class: "about-prompt" }, prompt || "(no prompt)"),
      h(
        "dl",
        { class: "details" },
        [
          ...(negative_prompt ? [["Negative", negative_prompt]] : []),
          ["Size", `${job.request.width} × ${job.request.height} px`],
          ...rows,
        ].flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
      ),
      h("hr"),
      h(
        "button",
        {
          type: "button",
          class: "menu-item strong",
          onclick: () => {
            close();
            changeSettings("use_settings", { id: shown.image });
          },
        },
        "Use all its settings",
      ),
      h(
        "button",
        {
          type: "button",
          class: "menu-item",
          onclick: () => {
            close();
            trigger("use_prompt", { prompt });
          },
        },
        "Use only its prompt",
      ),
    ];
  });

  /** Whether pictures are favourites, by id. */
  const known = new Map();
  /** Whether the picture is a favourite. */
  async function about(id) {
    if (!known.has(id)) {
      known.set(id, false);
      const found = await callServer(() => server.webbduck_about(id));
      if (found.lost) known.delete(id);
      else known.set(id, Boolean(found.favourite));
    }
    if (shown.image !== id) return;
    favourite.setAttribute("aria-pressed", String(known.get(id)));
    favourite.title = known.get(id) ? "A favourite; press to take it back" : "Favourite";
  }
  async function toggleFavourite() {
    const id = shown.image;
    const wanted = !known.get(id);
    if (!(await callOrToast(() => server.webbduck_favour({ id, favourite: wanted })))) return;
    known.set(id, wanted);
    about(id);
  }
  subscribe("gallery", async () => {
    known.clear();
    for (const id of gone) {
      // what was brought back elsewhere is shown again
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
    // The picture may have gone with its buttons; the keyboard goes on at the way back.
    if (document.activeElement === document.body || !tools.isConnected || tools.hidden) {
      focusAction();
    }
  }

  let comparing = null;
  /** What the picture can be compared with: its original, its input, the batch's others, the one before. */
  function otherImages() {
    if (!shown.picture) return [];
    const found = [];
    if (shown.picture !== shown.image) found.push({ name: "its original", source: imageUrl(shown.image) });
    if (shown.job.request.image) {
      found.push({ name: "the input picture", source: `media/input/${shown.job.request.image}` });
    }
    const batch = shown.job.images.filter((id) => !gone.has(id));
    batch.forEach((id, index) => {
      if (id !== shown.image) found.push({ name: `picture ${index + 1} of the batch`, source: imageUrl(id) });
    });
    const ended = all();
    const before = ended
      .slice(ended.indexOf(shown.job) + 1)
      .find((job) => job.finished && job.images.some((id) => !gone.has(id)));
    if (before) {
      found.push({
        name: "the picture before",
        source: imageUrl(before.images.findLast((id) => !gone.has(id))),
      });
    }
    return found;
  }
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
  strip.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next =
      by &&
      [...strip.querySelectorAll("button")][
        [...strip.querySelectorAll("button")].indexOf(document.activeElement) + by
      ];
    if (next) {
      event.preventDefault();
      next.focus();
      next.click();
    }
  });

  // -- the status line, and what is set for this browser

  /** Seconds after which the end of a job is worth a notification. */
  const LONG = 15;
  const settings = { preview: true, notify: false, ...getPref("view", {}) };
  function keepSettings() {
    setPref("view", settings);
    draw();
  }
  async function turnNotify(box) {
    if (box.checked && (!window.isSecureContext || !("Notification" in window))) {
      box.checked = false;
      return toast("The browser allows notifications only under localhost or https.");
    }
    if (box.checked && (await Notification.requestPermission()) !== "granted") {
      box.checked = false;
      toast("The browser does not allow notifications of this page; change that in its settings.");
    }
    settings.notify = box.checked;
    keepSettings();
  }
  const told = new Set();
  /** A word from the system when a job of this page that took long has ended while nobody looked. */
  function notify() {
    for (const job of jobs.recent) {
      if (told.has(job.job_id) || !asked.has(job.job_id)) continue;
      told.add(job.job_id);
      if (!settings.notify || document.hasFocus() || job.finished - job.created < LONG) continue;
      let sent;
      try {
        sent = new Notification(`WebbDuck: ${job.headline}`, {
          body: job.request.prompt,
          icon: job.images.length ? thumbUrl(job.images.at(-1)) : undefined,
          tag: job.job_id,
        });
      } catch {
        // Chrome on Android has the name, and refuses the call
        settings.notify = false;
        keepSettings();
        return toast("This browser cannot show notifications of a page.");
      }
      sent.onclick = () => {
        window.focus();
        sent.close();
      };
    }
  }
  /** This page's own jobs, the one before a reload among them. */
  const asked = new Set(mine ? [mine] : []);

  const seedValue = h("b", {});
  const seedPart = h(
    "span",
    { class: "seed", hidden: true },
    "Seed ",
    seedValue,
    h(
      "button",
      {
        type: "button",
        "aria-label": "Copy the seed",
        onclick: (event) => copyText(seedValue.textContent, event.target),
      },
      "Copy",
    ),
  );
  const queuePart = h("button", {
    type: "button",
    class: "queue-part",
    title: "Open the queue",
    onclick: () => openTab("queue"),
  });
  const devicePart = h("span", { class: "device-part" });
  const viewButton = h("button", { type: "button" }, "View");
  menu(viewButton, "View", (close) => {
    const box = (text, on, change) =>
      h(
        "label",
        { class: "menu-check" },
        h("input", { type: "checkbox", checked: on, onchange: change }),
        text,
      );
    const item = (text, action) =>
      h(
        "button",
        {
          type: "button",
          class: "menu-item",
          onclick: () => {
            close();
            action();
          },
        },
        text,
      );
    return [
      box("Show the picture while it is made", settings.preview, (event) => {
        settings.preview = event.target.checked;
        keepSettings();
      }),
      box(`Notify me when a job over ${LONG} s ends`, settings.notify, (event) => turnNotify(event.target)),
      box("Light theme", !webbduckTheme.isDark(), () => webbduckTheme.toggle()),
      // On a phone the status line has no room for these.
      ...(phone.matches
        ? [h("hr"), item("Free memory", freeMemory), item("Keys", showShortcuts), item("API", showApi)]
        : []),
    ];
  });
  /** Let go of the models, and show at once how much memory that gave back. */
  async function freeMemory() {
    const found = await callOrToast(() => server.webbduck_free_memory());
    if (!found) return;
    jobs.device = found;
    delete live.device;
    statusLine();
    toast(
      found.freed.length
        ? "The models left the memory; the next picture loads them again."
        : "No model was in memory.",
    );
  }
  const showApi = () => document.querySelector("footer button.show-api, footer .show-api")?.click();
  put(
    line,
    seedPart,
    queuePart,
    devicePart,
    h(
      "span",
      { class: "links" },
      h(
        "button",
        {
          type: "button",
          class: "free elsewhere",
          title: "Let go of the models in memory; the next picture loads them again",
          onclick: freeMemory,
        },
        "Free memory",
      ),
      viewButton,
      h("button", { type: "button", class: "elsewhere", onclick: () => showShortcuts() }, "Keys"),
      h("button", { type: "button", class: "elsewhere", onclick: showApi }, "API"),
    ),
  );

  const deviceName = (name) =>
    !name
      ? "?"
      : name === "starting"
        ? "Starting up"
        : /^(cpu|cuda|mps|xpu)/.test(name)
          ? name.toUpperCase()
          : name;

  function statusLine() {
    const seeds = all().filter((job) => job.seeds.length);
    const own = seeds.find((job) => job.job_id === mine);
    const newest = shown.seed ?? own?.seeds.at(-1) ?? seeds.find((job) => job.finished)?.seeds.at(-1);
    last.set("seed", newest ?? null);
    const device = live.device ?? jobs.device ?? {};
    const waiting = jobs.queued_count;
    seedPart.hidden = newest === undefined;
    seedValue.textContent = String(newest ?? "");
    queuePart.textContent = waiting
      ? `${waiting} queued`
      : jobs.active_job_id
        ? "Nothing queued"
        : "Queue empty";
    const memory = `${bytes(device.memory_used)} of ${bytes(device.memory_total)} used`;
    devicePart.textContent = `${deviceName(device.device)}, ${memory}`;
    devicePart.classList.add("device");
    devicePart.title = device.policy
      ? `Models in ${device.dtype}, memory policy "${device.policy}"; in memory: ` +
        (device.in_memory.join(", ") || "none")
      : "";
  }

  subscribe("jobs", (value) => {
    const first = !jobs;
    jobs = value;
    // A page that was opened again goes on with what runs, unless its own job still waits or runs.
    if (first && mine && running() && !jobs.jobs.some((job) => job.job_id === mine)) mine = null;
    if (first) for (const job of jobs.recent) told.add(job.job_id);
    followEnlarging();
    notify();
    queueNotices();
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
  /** After another checkpoint had to be chosen: its own settings, where the form has others. */
  function offerDefaults(defaults) {
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
  let seenOutcome = 0;
  subscribe("outcome", (value) => {
    if (value.at === seenOutcome || value.where) return;
    seenOutcome = value.at;
    for (const old of notices.querySelectorAll(".asked")) old.remove();
    form.calm();
    for (const note of value.notes ?? []) notice("warning", note, `note ${value.at} ${note}`);
    if (value.error && !(value.field && form.complain(value.field, value.error))) {
      notice("error", value.error, `asked ${value.at}`, offerDefaults(value.defaults));
      notices.lastChild.classList.add("asked");
    }
    if (value.upscale) {
      enlarging = value.upscale;
      toast("The larger copy is being made.");
    }
    if (value.job_id) {
      asked.add(value.job_id);
      follow(value.job_id);
    }
  });
}
