// The queue: rows keyed by job, so that a redraw keeps scroll position, unfolded details and the choice.
const { h, put, thumbUrl, previewUrl, ago } = webbduck;
const $ = (selector) => element.querySelector(selector);
const waiting = $(".waiting"), ended = $(".ended"), problem = $(".problem"), chosenBar = $(".chosen");
const rows = new Map(), chosen = new Set();
let state = { jobs: [], recent: [] }, live = {}, dragged = null;

const steer = (action, ids = [], more = {}) => trigger("steer", { action, ids, ...more });
const button = (text, title, action) => h("button", { type: "button", title, "aria-label": title, onclick: action }, text);
const retryable = (job) => ["failed", "cancelled", "interrupted"].includes(job.status);

function make(job) {
  const id = job.job_id;
  const details = h("dl", { class: "details" });
  for (const [name, value] of Object.entries(job.told)) {
    details.append(h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value)));
  }
  const box = h("input", { type: "checkbox", "aria-label": `Choose the job ${job.title || id}`, onchange: (event) => {
    if (event.target.checked) chosen.add(id); else chosen.delete(id);
    showChosen();
  } });
  const row = h("li", { class: "job", "data-id": id, tabindex: "-1" },
    h("div", { class: "pick" }, box, h("span", { class: "place", "aria-hidden": "true" })),
    h("div", { class: "thumb" }),
    h("details", {},
      h("summary", {}, h("span", { class: "state" }), h("span", { class: "prompt" }), h("span", { class: "facts" })),
      h("p", { class: "timing" }), details),
    h("div", { class: "acts" },
      h("span", { class: "if queued" },
        button("↑", "Move up", () => steer("move", [id], { to: "up" })),
        button("↓", "Move down", () => steer("move", [id], { to: "down" })),
        button("Top", "Move to the top", () => steer("move", [id], { to: "top" }))),
      h("span", { class: "if retryable" }, button("Retry", "Retry with the same seeds", () => steer("retry", [id]))),
      h("span", { class: "if running" }, button("After this image", "Cancel after the image that it is at", () => steer("cancel_after_image", [id]))),
      h("span", { class: "if open" }, h("button", { type: "button", class: "cancel", onclick: () => steer("cancel", [id]) }, "Cancel")),
      h("span", { class: "if done" }, button("Show", "Show its pictures in the gallery", () => { webbduck.publish("show", { image: rows.get(id).job.images.at(-1) }); webbduck.openTab("Gallery"); })),
      h("span", { class: "edit" }, button("Edit as new", "Put its settings into the Studio", () => trigger("edit_as_new", { id }))),
      h("span", { class: "if ended" }, button("Remove", "Remove from the list; its pictures stay", () => steer("remove", [id])))),
    h("div", { class: "track" }, h("div", { class: "bar" })));
  row.addEventListener("keydown", (event) => {
    const to = event.altKey && { ArrowUp: "up", ArrowDown: "down" }[event.key];
    if (!to || rows.get(id).job.status !== "queued") return;
    event.preventDefault();
    steer("move", [id], { to });
  });
  row.addEventListener("dragstart", (event) => { dragged = id; event.dataTransfer.effectAllowed = "move"; event.dataTransfer.setData("text/plain", id); row.classList.add("dragged"); });
  row.addEventListener("dragend", () => { dragged = null; row.classList.remove("dragged"); element.querySelectorAll(".target").forEach((each) => each.classList.remove("target")); });
  row.addEventListener("dragover", (event) => { if (dragged && dragged !== id && rows.get(id).job.status === "queued") { event.preventDefault(); row.classList.add("target"); } });
  row.addEventListener("dragleave", () => row.classList.remove("target"));
  row.addEventListener("drop", (event) => {
    event.preventDefault();
    const queued = state.jobs.filter((job) => job.status === "queued").map((job) => job.job_id);
    if (dragged && queued.includes(dragged) && queued.includes(id)) steer("move", [dragged], { to: queued.indexOf(id) + 1 });
  });
  return { row, job, box };
}

function update(job) {
  const entry = rows.get(job.job_id), row = entry.row, request = job.request;
  const find = (name) => row.querySelector(`.${name}`);
  entry.job = job;
  row.dataset.state = job.status;
  row.draggable = job.status === "queued";
  const open = ["queued", "running"].includes(job.status);
  const shown = { queued: job.status === "queued", running: job.status === "running" && request.num_images > 1 && !job.cancelling, open, retryable: retryable(job), ended: !open, done: job.images.length > 0 };
  for (const [name, yes] of Object.entries(shown)) row.querySelector(`.if.${name}`).hidden = !yes;
  entry.box.checked = chosen.has(job.job_id);
  find("place").textContent = job.position ?? "";
  find("state").textContent = job.headline;
  find("prompt").textContent = job.title || "(no prompt)";
  const painted = ["generate", "test"].includes(job.kind);
  row.querySelector(".edit").hidden = !painted;
  const facts = !painted ? [job.result?.caption, job.owner] : [job.kind === "test" ? "test" : null, request.base_model, `${request.width} × ${request.height} px`, `${request.steps} steps`,
    request.scheduler, `CFG ${request.cfg}`, `seed ${request.seed}`, request.num_images > 1 ? `${request.num_images} images` : null,
    ...request.loras.map((lora) => `${lora.name} ${lora.weight}`), job.owner];
  if (job.error) facts.unshift(job.error);
  find("facts").textContent = facts.filter(Boolean).join(" · ");
  const times = [`Asked ${ago(job.created)}`, job.waited !== null ? `waited ${Math.round(job.waited)} s` : null, job.finished ? `ended ${ago(job.finished)}` : null];
  find("timing").textContent = [...times, ...job.warnings].filter(Boolean).join(" · ");
  find("cancel").disabled = job.cancelling && job.status === "running" && job.headline === "Cancelling";
  find("track").hidden = job.status !== "running";
  find("bar").style.width = `${(job.progress * 100).toFixed(1)}%`;
  const source = job.images.length ? thumbUrl(job.images.at(-1)) : job.status === "running" && job.preview ? previewUrl(job) : "";
  const thumb = find("thumb"), image = thumb.firstChild;
  if (!source) put(thumb);
  else if (image?.getAttribute("src") !== source) {
    if (image) image.src = source;
    else thumb.append(h("img", { src: source, alt: "", onerror: (event) => event.target.remove() }));
  }
}

function place(list, jobs, nothing) {
  const focused = document.activeElement;
  list.querySelectorAll(".nothing").forEach((each) => each.remove());
  jobs.forEach((job, index) => {
    if (!rows.has(job.job_id)) rows.set(job.job_id, make(job));
    update(job.job_id === live.job_id ? { ...job, ...live } : job);
    const row = rows.get(job.job_id).row;
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
  while (list.children.length > jobs.length) list.lastChild.remove();
  if (!jobs.length) list.append(h("li", { class: "nothing" }, nothing));
  // A row that was moved loses the focus; the keyboard goes on where it was.
  if (focused && focused !== document.activeElement && element.contains(focused)) focused.focus({ preventScroll: true });
}

function showChosen() {
  const known = new Set(rows.keys());
  for (const id of chosen) if (!known.has(id)) chosen.delete(id);
  chosenBar.hidden = !chosen.size;
  $(".chosen .count").textContent = chosen.size === 1 ? "1 job chosen" : `${chosen.size} jobs chosen`;
}

element.addEventListener("click", (event) => {
  const pressed = event.target.closest("button")?.dataset;
  if (!pressed) return;
  const ids = [...chosen], jobs = ids.map((id) => rows.get(id)?.job).filter(Boolean);
  const fitting = { cancel: (job) => ["queued", "running"].includes(job.status), retry: retryable, remove: (job) => !["queued", "running"].includes(job.status) };
  if (pressed.do) steer(pressed.do);
  if (pressed.each) steer(pressed.each, jobs.filter(fitting[pressed.each]).map((job) => job.job_id));
  if (pressed.move) {
    const queued = jobs.filter((job) => job.status === "queued").map((job) => job.job_id);
    if (queued.length) steer("move", queued, { to: pressed.move });
  }
  if (pressed.choose) { chosen.clear(); rows.forEach((entry) => { entry.box.checked = false; }); showChosen(); }
});

webbduck.subscribe("jobs", (value) => {
  state = value;
  place(waiting, state.jobs, "Nothing is waiting. Press Generate in the Studio, as often as you like.");
  place(ended, state.recent, "Jobs that have ended are listed here.");
  const shown = new Set([...state.jobs, ...state.recent].map((job) => job.job_id));
  for (const [id, entry] of rows) if (!shown.has(id)) { entry.row.remove(); rows.delete(id); }
  $("[data-do=pause]").hidden = state.paused;
  $("[data-do=resume]").hidden = !state.paused;
  $("[data-do=clear_queued]").disabled = !state.queued_count;
  $("[data-do=clear_finished]").disabled = !state.recent.length;
  $(".note").textContent = state.pause_reason ?? (state.paused ? "Paused: what runs ends first, nothing new starts." : "");
  showChosen();
});
webbduck.subscribe("live", (value) => {
  live = value;
  const job = state.jobs.find((each) => each.job_id === live.job_id);
  if (job && rows.has(job.job_id)) update({ ...job, ...live });
});
webbduck.subscribe("outcome", (value) => { if (value.where === "queue") problem.textContent = value.error ?? ""; });
