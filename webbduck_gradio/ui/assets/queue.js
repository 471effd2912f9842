// The queue: rows keyed by job, so that a redraw keeps scroll position and unfolded details.
const { h, thumbUrl, previewUrl, ago } = webbduck;
const waiting = element.querySelector(".waiting"), ended = element.querySelector(".ended"), problem = element.querySelector(".problem");
const rows = new Map();
let live = {};

function make(job) {
  const details = h("dl", { class: "details" });
  const row = h("li", { class: "job", "data-id": job.job_id },
    h("div", { class: "thumb" }),
    h("details", {},
      h("summary", {}, h("span", { class: "state" }), h("span", { class: "prompt" }), h("span", { class: "facts" })),
      details),
    h("button", { type: "button", class: "cancel", onclick: () => trigger("cancel_job", { job_id: job.job_id }) }, "Cancel"),
    h("div", { class: "track" }, h("div", { class: "bar" })));
  for (const [name, value] of Object.entries(job.told)) {
    details.append(h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value)));
  }
  return row;
}

function update(row, job) {
  const request = job.request, find = (name) => row.querySelector(`.${name}`);
  row.dataset.state = job.status;
  find("state").textContent = job.headline;
  find("prompt").textContent = request.prompt || "(no prompt)";
  const facts = [request.base_model, `${request.width} × ${request.height} px`, `${request.steps} steps`, request.scheduler,
    `CFG ${request.cfg}`, `seed ${request.seed}`];
  if (request.num_images > 1) facts.push(`${request.num_images} images`);
  if (job.finished) facts.push(ago(job.finished));
  if (job.error) facts.unshift(job.error);
  find("facts").textContent = facts.join(" · ");
  find("cancel").hidden = !["queued", "running"].includes(job.status);
  find("cancel").disabled = job.cancelling && job.status === "running";
  find("track").hidden = job.status !== "running";
  find("bar").style.width = `${(job.progress * 100).toFixed(1)}%`;
  const source = job.images.length ? thumbUrl(job.images.at(-1)) : job.status === "running" && job.preview ? previewUrl(job) : "";
  const thumb = find("thumb"), image = thumb.firstChild;
  if (!source) thumb.replaceChildren();
  else if (image?.getAttribute("src") !== source) {
    if (image) image.src = source; else thumb.append(h("img", { src: source, alt: "" }));
  }
}

function place(list, jobs, nothing) {
  const keep = new Set(jobs.map((job) => job.job_id));
  list.querySelectorAll(".nothing").forEach((each) => each.remove());
  jobs.forEach((job, index) => {
    if (!rows.has(job.job_id)) rows.set(job.job_id, make(job));
    const row = rows.get(job.job_id);
    update(row, job.job_id === live.job_id ? { ...job, ...live } : job);
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
  for (const child of [...list.children]) if (!keep.has(child.dataset.id)) child.remove();
  if (!jobs.length) list.append(h("li", { class: "nothing" }, nothing));
}

webbduck.subscribe("jobs", (state) => {
  place(waiting, state.jobs, "Nothing is waiting. Press Generate in the Studio, as often as you like.");
  place(ended, state.recent, "Jobs that have ended are listed here.");
  problem.textContent = state.problem ?? "";
  const known = new Set([...state.jobs, ...state.recent].map((job) => job.job_id));
  for (const id of rows.keys()) if (!known.has(id)) rows.delete(id);
});
webbduck.subscribe("live", (value) => {
  live = value;
  const job = webbduck.last.get("jobs")?.jobs.find((each) => each.job_id === live.job_id);
  if (job && rows.has(job.job_id)) update(rows.get(job.job_id), { ...job, ...live });
});
