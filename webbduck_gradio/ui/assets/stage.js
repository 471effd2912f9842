// The picture: the job that this page follows, its preview and progress, its images, what went wrong.
const { h, put, imageUrl, thumbUrl, previewUrl, bytes } = webbduck;
const find = (name) => element.querySelector(`.${name}`);
const notices = find("notices"), canvas = find("canvas"), now = find("now"), strip = find("strip"), line = find("statusline");
const picture = h("img", { alt: "", class: "main" });
const bar = h("div", { class: "bar" });
const track = h("div", { class: "track", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, bar);
const tools = h("div", { class: "tools" },
  h("a", { class: "tool download", download: "" }, "Download"),
  h("a", { class: "tool open", target: "_blank", rel: "noopener" }, "Full size"),
  h("button", { class: "tool inpaint", type: "button", title: "Paint on it what should be drawn anew", onclick: () => trigger("use_image", { id: shown.image, purpose: "inpaint" }) }, "Inpaint"),
  h("button", { class: "tool reseed", type: "button", onclick: () => trigger("use_seed", { seed: shown.seed }) }, "Use seed"));
const frame = h("figure", { class: "frame" }, picture, tools, track);
let jobs = null, live = {}, mine = sessionStorage.getItem("webbduck-job"), watched = null, picked = null, shown = {};

let stoppable = null, settling = false;
/** Jobs that paint; larger copies and captions are shown where they were asked for. */
const paints = (job) => job.kind === "generate" || job.kind === "test";
const all = () => (jobs ? [...jobs.jobs, ...jobs.recent].filter(paints) : []);
const running = () => all().find((job) => job.job_id === jobs.active_job_id) ?? null;

/** Follow a job: this page's own latest, or with `chosen` one that was asked for, which is shown also while it waits. */
function follow(id, chosen = false) {
  mine = id;
  watched = chosen ? id : null;
  picked = null;
  if (id) sessionStorage.setItem("webbduck-job", id); else sessionStorage.removeItem("webbduck-job");
  for (const old of notices.querySelectorAll(".notice.error")) old.remove();
  draw();
}

/** The job to show: the one that was chosen; else this page's own; else the running one; else the last that has pictures. */
function current() {
  const asked = watched && all().find((job) => job.job_id === watched);
  if (asked && !picked) return asked;
  const own = all().find((job) => job.job_id === mine);
  if (picked) {
    const chosen = all().find((job) => job.job_id === picked.job);
    if (chosen && !(own && own.status === "running" && own !== chosen)) return chosen;
  }
  if (own && own.status !== "queued") return own;
  return running() ?? own ?? all().find((job) => job.finished && job.images.length) ?? null;
}

const dismissed = new Set();
function notice(kind, text, key) {
  if (dismissed.has(key) || [...notices.children].some((each) => each.dataset.key === key)) return;
  notices.append(h("div", { class: `notice ${kind}${key.startsWith("asked") ? "" : " of-job"}`, "data-key": key },
    h("span", {}, text),
    h("button", { type: "button", "aria-label": "Dismiss", onclick: (event) => { dismissed.add(key); event.target.closest(".notice").remove(); } }, "×")));
}

let coming = "";
/** Swap the picture once the new one has loaded, so that nothing flickers; one that is gone is not shown. */
function showPicture(source, alt) {
  picture.alt = alt;
  if (coming === source && frame.parentNode === canvas) return;
  coming = source;
  const next = new Image();
  next.onload = () => {
    if (coming !== source) return;
    picture.src = source;
    if (frame.parentNode !== canvas) put(canvas, frame);
  };
  next.src = source;
}

function empty() {
  coming = "";
  const starter = jobs && webbduck.last.get("catalog")?.checkpoints.every((each) => !each.usable || each.name === "webbduck-starter");
  const none = webbduck.last.get("catalog") && !webbduck.last.get("catalog").checkpoints.some((each) => each.usable);
  const examples = starter ? props.starter_examples : props.examples;
  put(canvas, none
    ? h("div", { class: "empty" }, h("h2", {}, "No checkpoints yet"),
        h("p", {}, "Put a .safetensors file into checkpoint/sdxl; it appears here by itself."))
    : h("div", { class: "empty" },
        h("h2", {}, "Describe a picture, press Generate"),
        h("p", {}, "It is made on this computer. Nothing is sent anywhere."),
        h("p", {}, starter ? "The bundled starter model draws small cartoon scenes with ducks. Try one:" : "Try one:"),
        h("div", { class: "examples" }, examples.map((prompt) =>
          h("button", { type: "button", onclick: () => trigger("use_prompt", { prompt }) }, prompt)))));
}

function draw() {
  if (!jobs) return;
  const job = current();
  const active = job?.status === "running";
  if (!job) { empty(); now.hidden = true; put(strip); return statusLine(); }
  const view = active && live.job_id === job.job_id ? { ...job, ...live } : job;
  const images = view.images;
  const wanted = picked?.job === job.job_id ? picked.image : null;
  const preview = active && view.preview && !wanted;
  const image = wanted ?? (preview ? null : images.at(-1));
  shown = { seed: null, image };
  if (preview) showPicture(previewUrl(view), `Preview: ${job.request.prompt}`);
  else if (image) {
    showPicture(imageUrl(image), job.request.prompt || "Finished picture");
    shown.seed = job.seeds[images.indexOf(image)] ?? null;
    tools.querySelector(".download").href = imageUrl(image);
    tools.querySelector(".open").href = imageUrl(image);
  } else { coming = ""; put(canvas, h("div", { class: "empty" },
    h("p", {}, job.status === "failed" || job.status === "interrupted" ? "No picture was made." : job.status === "cancelled" ? "Cancelled before a picture was finished." : "The picture appears here."))); }
  frame.style.setProperty("--ratio", `${job.request.width} / ${job.request.height}`);
  frame.classList.toggle("preview", Boolean(preview));
  tools.hidden = !image;
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
  const cancel = find("cancel"), after = find("after"), elsewhere = running();
  cancel.hidden = !["running", "queued"].includes(job.status);
  if (stoppable !== job.job_id) {
    // A press that was meant for the job before must not hit this one.
    if (stoppable) { settling = true; setTimeout(() => { settling = false; draw(); }, 700); }
    stoppable = job.job_id;
  }
  cancel.disabled = settling || (Boolean(view.cancelling) && !view.cancel_after_image);
  cancel.onclick = () => { cancel.disabled = true; trigger("cancel_job", { job_id: job.job_id }); };
  after.hidden = !active || Boolean(view.cancelling) || images.length + 1 >= (job.request.num_images ?? 1);
  after.onclick = () => { after.hidden = true; trigger("cancel_job", { job_id: job.job_id, after_image: true }); };
  find("follow").hidden = !elsewhere || elsewhere === job;
  find("follow").onclick = () => follow(elsewhere.job_id, true);

  for (const old of notices.querySelectorAll(".of-job")) if (!old.dataset.key.startsWith(job.job_id)) old.remove();
  for (const warning of job.warnings) notice("warning", warning, `${job.job_id} ${warning}`);
  if (job.error && job.job_id === mine) notice("error", job.error, `${job.job_id} ${job.error}`);

  const known = [...strip.children].map((each) => each.dataset.id).join();
  if (job.request.num_images < 2) put(strip);
  else if (known !== images.join()) put(strip, ...images.map((id, index) =>
    h("button", { type: "button", "data-id": id, "aria-label": `Picture ${index + 1} of ${job.request.num_images}, seed ${job.seeds[index]}`,
      onclick: () => { picked = { job: job.job_id, image: id }; draw(); } }, h("img", { src: thumbUrl(id), alt: "", loading: "lazy" }))));
  for (const each of strip.children) each.setAttribute("aria-pressed", String(each.dataset.id === image));
  statusLine();
}

function statusLine() {
  const seeds = all().filter((job) => job.seeds.length);
  const own = seeds.find((job) => job.job_id === mine);
  const newest = shown.seed ?? own?.seeds.at(-1) ?? jobs.recent.find((job) => job.seeds.length)?.seeds.at(-1);
  webbduck.lastSeed = newest ?? null;
  const device = live.device ?? jobs.device ?? {};
  const waiting = jobs.queued_count;
  const parts = [
    newest === undefined ? null : h("span", { class: "seed" }, "Seed ", h("b", {}, String(newest)),
      h("button", { type: "button", onclick: (event) => webbduck.copy(String(newest), event.target) }, "Copy")),
    h("span", {}, waiting ? `${waiting} queued` : jobs.active_job_id ? "Nothing queued" : "Queue empty"),
    h("span", { class: "device" }, `${device.device ?? "?"}, ${bytes(device.memory_used)} of ${bytes(device.memory_total)} used`),
    h("span", { class: "links" }, h("button", { type: "button", onclick: () => { webbduckTheme.turn(); statusLine(); } }, webbduckTheme.dark() ? "Light" : "Dark"),
      h("button", { type: "button", onclick: () => document.querySelector("footer button.show-api, footer .show-api")?.click() }, "API")),
  ];
  put(line, parts);
}

webbduck.subscribe("jobs", (value) => {
  const first = !jobs;
  jobs = value;
  // A page that was opened again goes on with what runs, unless its own job still waits or runs.
  if (first && mine && running() && !jobs.jobs.some((job) => job.job_id === mine)) mine = null;
  draw();
});
webbduck.subscribe("follow", (value) => follow(value.job_id, Boolean(value.chosen)));
webbduck.subscribe("live", (value) => { live = value; draw(); });
webbduck.subscribe("catalog", () => { if (jobs && !current()) empty(); });
let seenOutcome = 0;
webbduck.subscribe("outcome", (value) => {
  if (value.at === seenOutcome || value.where) return;
  seenOutcome = value.at;
  for (const old of notices.querySelectorAll(".asked")) old.remove();
  webbduck.form.calm();
  for (const note of value.notes ?? []) notice("warning", note, `note ${value.at} ${note}`);
  if (value.error && !(value.field && webbduck.form.complain(value.field, value.error))) {
    notice("error", value.error, `asked ${value.at}`);
    notices.lastChild.classList.add("asked");
  }
  if (value.job_id) follow(value.job_id);
});
