// The gallery: runs newest first, more on demand; a picture opens at full size with its settings.
const { h, put, imageUrl, thumbUrl, bytes } = webbduck;
const list = element.querySelector(".runs"), more = element.querySelector(".more"), problem = element.querySelector(".problem");
const PAGE = 24;
let runs = [], wanted = PAGE, version = null, asking = false;

async function refresh() {
  if (asking) { version = null; return; }
  asking = true;
  let found;
  try { found = await server.webbduck_runs({ start: 0, limit: Math.min(wanted, 200) }); }
  catch { found = { error: "The server did not answer; the gallery is shown as it was." }; }
  asking = false;
  problem.textContent = found.error ?? "";
  if (!found.runs) return;
  runs = found.runs;
  draw();
}

function draw() {
  const known = new Map([...list.children].map((each) => [each.dataset.run, each]));
  put(list, (runs.length ? runs.map((run) => {
    const key = run.images.map((image) => image.id + image.modified).join();
    const old = known.get(run.run);
    return old?.dataset.key === key ? old : section(run, key);
  }) : [h("p", { class: "nothing" }, "No pictures yet. What you generate in the Studio is kept here.")]));
  more.hidden = runs.length < wanted || wanted >= 200;
}

function section(run, key) {
  const text = run.meta.prompt || "(no prompt)";
  return h("article", { class: "run", "data-run": run.run, "data-key": key },
    h("h3", {}, new Date(run.created * 1000).toLocaleString(), h("span", {}, text)),
    run.problem ? h("p", { class: "problem" }, run.problem) : null,
    h("div", { class: "grid" }, run.images.map((image) =>
      h("button", { type: "button", class: "cell", "data-id": image.id, "aria-label": `Open ${text}, seed ${image.seed ?? "unknown"}`, onclick: () => open(image.id) },
        h("img", { src: thumbUrl(image.id), alt: "", loading: "lazy", onerror: (event) => event.target.replaceWith(h("span", { class: "broken" }, "cannot be read")) })))));
}

// Outside of the tab, which hides what is in it, and inside of what the style sheet covers.
const home = document.querySelector(".gradio-container main") ?? document.body;
const picture = h("img", { alt: "" }), info = h("div", { class: "info" });
const dialog = h("dialog", { class: "lightbox", "aria-label": "Picture" },
  h("div", { class: "big" }, picture), info,
  h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "×"));
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") step(1);
  if (event.key === "ArrowLeft") step(-1);
});
dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target.classList.contains("big")) dialog.close(); });
home.append(dialog);
let opened = null;

const ids = () => runs.flatMap((run) => run.images.map((image) => image.id));
function step(by) {
  const next = ids()[ids().indexOf(opened) + by];
  if (next) open(next);
}

async function open(id) {
  opened = id;
  picture.src = imageUrl(id);
  put(info, h("p", {}, "Reading its settings"));
  if (!dialog.open) dialog.showModal();
  let found;
  try { found = await server.webbduck_image(id); } catch { found = { error: "The server did not answer." }; }
  if (opened !== id) return;
  if (found.error) return put(info, h("p", { class: "problem" }, found.error));
  const rows = Object.entries(found.told ?? found.fields ?? {}).filter(([name]) => !["prompt", "negative_prompt"].includes(name));
  picture.alt = found.prompt || "Finished picture";
  put(info, 
    h("h3", {}, found.prompt || "(no prompt)"),
    found.negative_prompt ? h("p", { class: "negative" }, `Without: ${found.negative_prompt}`) : null,
    h("div", { class: "actions" },
      h("a", { href: imageUrl(id), download: "" }, "Download"),
      found.request ? h("button", { type: "button", onclick: () => { dialog.close(); trigger("reuse", { id }); } }, "Use these settings") : null,
      h("button", { type: "button", onclick: (event) => webbduck.copy(found.prompt, event.target) }, "Copy prompt"),
      found.parameters ? h("button", { type: "button", onclick: (event) => webbduck.copy(found.parameters, event.target) }, "Copy all settings") : null,
      h("button", { type: "button", class: "delete", onclick: () => remove(id) }, "Delete")),
    h("dl", {}, rows.flatMap(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))]),
      h("dt", {}, "file"), h("dd", {}, `${id}, ${found.width} × ${found.height} px`)),
    (found.problems ?? []).map((text) => h("p", { class: "problem" }, text)));
}

const toast = h("div", { class: "toast", role: "status", hidden: true });
home.append(toast);
let fading = null;
/** Delete, and offer the way back for a while. */
async function remove(id) {
  const all = ids(), next = all[all.indexOf(id) + 1] ?? all[all.indexOf(id) - 1];
  let done;
  try { done = await server.webbduck_delete(id); } catch { done = { error: "The server did not answer; nothing was deleted." }; }
  if (done.error) { info.append(h("p", { class: "problem" }, done.error)); return; }
  if (next) open(next); else dialog.close();
  const undo = h("button", { type: "button", onclick: async () => {
    toast.hidden = true;
    const back = await server.webbduck_restore(done.id);
    if (back.error) problem.textContent = back.error; else { await refresh(); open(id); }
  } }, "Undo");
  put(toast, h("span", {}, "Moved to the trash."), undo);
  (dialog.open ? dialog : home).append(toast);
  toast.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { toast.hidden = true; }, 15000);
  refresh();
}
dialog.addEventListener("close", () => home.append(toast));
dialog.addEventListener("keydown", (event) => { if (event.key === "Delete" && opened) remove(opened); });

webbduck.subscribe("show", (value) => { if (value.image) { webbduck.last.delete("show"); open(value.image); } });
more.onclick = () => { wanted += PAGE; refresh(); };
webbduck.subscribe("gallery", (value) => { if (value.version !== version) { version = value.version; refresh(); } });
refresh();
