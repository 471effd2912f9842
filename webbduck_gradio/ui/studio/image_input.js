// @ts-check
// The input picture and its mask: dropped, pasted, chosen or sent from the gallery; captioned on request.
import { last, subscribe } from "../shared/bus.js";
import { button, h, put } from "../shared/dom.js";
import { callServer } from "../shared/server_call.js";
import { settings } from "../shared/settings.js";
import { inputFileUrl } from "../shared/urls.js";
import { menu } from "../shared/widgets.js";
import { showContentHint } from "./content_hint.js";
import { listenForFiles } from "./file_drop.js";
import { takeFiles } from "./folder_batch.js";
import { folderChooser } from "./folder_files.js";
import * as form from "./form.js";
import { removeInput, removeMask } from "./input_removal.js";
import { editMask } from "./mask_editor.js";
import { makeInputUpscale } from "./input_upscale.js";
import { tintMask } from "./mask_overlay.js";
import { outpaintTools } from "./outpaint_tools.js";
import { recentInputs } from "./recent_inputs.js";
import { fill, offerUndo, whenShown } from "./settings_menu.js";

/** @param {GradioView} view */
export default function start({ element, props, trigger, server, upload }) {
  const chooser = element.querySelector(".chooser");
  const file = element.querySelector(".file");
  const chosen = element.querySelector(".chosen-picture");
  const errorBox = element.querySelector(".input-error");
  let shown = { image: "", mask: "" };
  let size = null;
  /** The picture whose mask editor was requested and has not opened yet. */
  let awaited = null;
  /** Whether the picture was just set, so that its group is to be scrolled to once it is shown. */
  let isNew = false;

  function showError(text, offer = null) {
    put(
      errorBox,
      text
        ? h(
            "div",
            { class: "notice error at-control" },
            h("span", {}, text),
            offer,
            h(
              "button",
              { type: "button", class: "dismiss", "aria-label": "Dismiss", onclick: () => showError("") },
              "×",
            ),
          )
        : null,
    );
    if (!text) return;
    form.unfold("image");
    form.reveal(errorBox);
  }

  async function store(blob, name) {
    return callServer(async () => {
      const sent = await upload(new File([blob], name, { type: blob.type }));
      return server.webbduck_store({ path: sent.path });
    }, "The picture could not be uploaded; try again.");
  }

  async function use(blob) {
    await take(store(blob, blob.name || "pasted.png"));
  }

  async function take(storing) {
    showError("");
    chooser.classList.add("busy");
    const found = await storing;
    chooser.classList.remove("busy");
    if (found.error) return showError(found.error);
    size = found;
    awaited = null;
    isNew = true;
    const before = form.typedState();
    for (const each of ["mask", "outpaint"]) form.set(each, "");
    form.set("image", found.id);
    form.unfold("image");
    offerUndo("Input picture loaded.", before);
  }

  if (window.matchMedia("(pointer: coarse)").matches) {
    chooser.querySelector("b").textContent = "Choose or take a picture";
  }
  chooser.onclick = () => file.click();
  file.onchange = () => {
    if (file.files.length > 1) takeFiles([...file.files]);
    else if (file.files[0]) use(file.files[0]);
    file.value = "";
  };

  const fromFolder = folderChooser(element);
  const recent = recentInputs({
    use: (id) => take(callServer(() => server.webbduck_store(id))),
    hasInput: () => Boolean(shown.image),
  });
  fromFolder.after(recent);

  /** Why the input picture had to be removed. */
  let lost = "";
  /** Make sure that the size of this input picture is known; false where the server could not tell it. */
  async function measure(id) {
    if (size?.id === id) return true;
    const found = await callServer(
      () => server.webbduck_size(id),
      "The server did not answer, so the size of the picture is unknown; try again.",
    );
    if (shown.image !== id) return false;
    if (found.lost) showError(found.error);
    else if (found.error) {
      lost = found.error;
      for (const each of ["mask", "outpaint", "image"]) form.set(each, "");
    } else size = found;
    return size?.id === id;
  }

  async function paint() {
    const id = shown.image;
    if (!id || !(await measure(id)) || document.querySelector(".mask-editor")) return;
    const done = await editMask({
      source: inputFileUrl(id),
      width: size.width,
      height: size.height,
      mask: shown.mask ? inputFileUrl(shown.mask) : null,
      isSoft: form.state().soft_inpainting === "on",
      hint:
        form.state().inpainting_fill === "keep"
          ? "Paint what should stay as it is; the rest is inpainted (mask mode: Inpaint not masked)."
          : undefined,
    });
    if (!done) return;
    if (done.isSoft !== undefined) form.choose("soft_inpainting", done.isSoft ? "on" : "off");
    if (done.mask) {
      // What comes next is to describe what is to be painted there.
      const prompt = form.entry("prompt");
      prompt?.focus();
      prompt?.select();
      prompt?.scrollIntoView({ block: "nearest" }); // focus alone does not, right after a dialog has closed
    }
    await saveMask(id, done.mask);
  }
  /** Upload the mask that was painted on this picture and set it, or show why that failed. */
  async function saveMask(id, mask) {
    const found = mask && shown.image === id ? await store(mask, "mask.png") : { id: "" };
    if (shown.image !== id) {
      return (
        mask &&
        showError("The mask was discarded because the input picture changed while it was being painted.")
      );
    }
    if (found.error) {
      return showError(
        `The mask is not saved yet. ${found.error}`,
        h(
          "button",
          {
            type: "button",
            onclick: () => {
              showError("");
              saveMask(id, mask);
            },
          },
          "Try again",
        ),
      );
    }
    form.set("mask", found.id);
  }
  /** Open the requested editor once its picture is shown and measured and the old mask is removed. */
  function openAwaited() {
    if (!awaited || shown.image !== awaited || shown.mask || size?.id !== awaited) return;
    awaited = null;
    paint();
  }

  /** Set width and height to the picture's size, or offer the nearest valid sizes. */
  async function useSize() {
    if (!(await measure(shown.image))) return;
    const { side_step: STEP, max_pixels: MOST } = webbduckFacts;
    const { least, most } = settings.width.limits;
    const { width, height } = size;
    const fits = (w, hgt) =>
      w % STEP === 0 &&
      hgt % STEP === 0 &&
      Math.min(w, hgt) >= least &&
      Math.max(w, hgt) <= most &&
      w * hgt <= MOST;
    if (fits(width, height)) {
      form.set("width", width);
      form.set("height", height);
      return put(offers);
    }
    const native =
      last.get("catalog")?.checkpoints.find((each) => each.name === form.state().base_model)?.native_size ??
      1024;
    const scale = Math.sqrt((native * native) / (width * height));
    const round = (side) => Math.round(side / STEP) * STEP;
    const near = [
      [Math.floor(width / STEP) * STEP, Math.floor(height / STEP) * STEP],
      [Math.ceil(width / STEP) * STEP, Math.ceil(height / STEP) * STEP],
      [round(width * scale), round(height * scale)],
    ];
    const different = near.filter(
      (each, index) => fits(...each) && near.findIndex((other) => other.join() === each.join()) === index,
    );
    put(
      offers,
      h(
        "p",
        {},
        width % STEP || height % STEP
          ? `The picture is ${width} × ${height} px; width and height must be multiples of ${STEP}.`
          : `The picture is ${width} × ${height} px, which is not a valid size.`,
        different.length ? " Nearest sizes: " : "",
      ),
      different.map(([w, hgt]) =>
        h(
          "button",
          {
            type: "button",
            onclick: () => {
              form.set("width", w);
              form.set("height", hgt);
              put(offers);
            },
          },
          `${w} × ${hgt}`,
        ),
      ),
    );
  }
  const offers = h("div", { class: "offers", role: "status" });

  const picture = h("img", { alt: "Input picture" });
  const overlay = h("canvas", { class: "mask-overlay", "aria-hidden": "true" });
  const facts = h("p", { class: "facts" });
  const paintButton = button("Paint mask", paint, {
    class: "paint",
    title: "Mark the part of the picture to inpaint, or to protect (see mask mode)",
  });
  const unmask = button("Remove mask", removeMask, { class: "unmask", title: "Use the whole picture again" });
  // A caption is a job in the queue, since a model has to run.
  const captionButton = button("Caption", null, { class: "make-caption", title: "Caption the picture" });
  const captionBox = h("div", { class: "caption-box", role: "status" });
  let captioning = null;
  menu(captionButton, "Caption the picture", (close) =>
    props.styles.map(([style, name]) =>
      h(
        "button",
        {
          type: "button",
          class: "menu-item",
          onclick: () => {
            close();
            trigger("caption", { image: shown.image, style });
          },
        },
        name,
      ),
    ),
  );
  subscribe("outcome", (value) => {
    if (value.where !== "input") return;
    if (value.error) showError(value.error);
    if (value.caption) {
      captioning = { job: value.caption, image: shown.image };
      put(captionBox, h("p", {}, "Captioning the picture"));
    }
  });
  subscribe("jobs", (state) => {
    const job = captioning && [...state.jobs, ...state.recent].find((each) => each.job_id === captioning.job);
    if (!job || captioning.image !== shown.image) return;
    if (job.status === "queued") return put(captionBox, h("p", {}, job.headline));
    if (job.status === "running") return put(captionBox, h("p", {}, "Captioning the picture"));
    captioning = null;
    const text = job.result?.caption;
    if (!text) {
      put(captionBox);
      return showError(job.error ?? job.headline);
    }
    put(
      captionBox,
      h("p", { class: "caption" }, text),
      h(
        "button",
        {
          type: "button",
          onclick: () => {
            put(captionBox);
            fill({ prompt: text }, "Prompt replaced.");
          },
        },
        "Use as prompt",
      ),
      h("button", { type: "button", onclick: () => put(captionBox) }, "Dismiss"),
    );
  });

  const upscaling = makeInputUpscale({
    ...{ server, trigger, fail: showError, image: () => shown.image },
    use: (id) => take(callServer(() => server.webbduck_store(id))),
  });
  put(
    chosen,
    h(
      "button",
      { type: "button", class: "view", "aria-label": "Paint the mask", onclick: paint },
      picture,
      overlay,
    ),
    h(
      "div",
      { class: "beside" },
      h(
        "div",
        { class: "facts-row" },
        facts,
        button("Remove", removeInput, { class: "remove", title: "Remove the input picture" }),
      ),
      paintButton,
      unmask,
      outpaintTools({ measured: async (id) => ((await measure(id)) ? size : null) }),
      button("Use its size", useSize, {
        class: "use-size",
        title: "Set width and height to the size of the picture",
      }),
      captionButton,
      upscaling.opener,
    ),
    captionBox,
    upscaling.box,
    offers,
  );

  async function draw(state) {
    const { image, mask } = state;
    if (image === shown.image && mask === shown.mask) return;
    const before = shown;
    shown = { image, mask };
    chooser.hidden = Boolean(image);
    chosen.hidden = !image;
    recent.hidden = Boolean(image) || !recent.childElementCount;
    if (image !== before.image) {
      put(captionBox);
      captioning = null;
    }
    if (!image) {
      size = awaited = null;
      put(offers);
      showError(lost);
      lost = "";
      return;
    }
    if (image !== before.image) {
      picture.src = inputFileUrl(image);
      facts.textContent = "";
      put(offers);
      if (!(await measure(image))) return;
      facts.textContent = `${size.width} × ${size.height} px`;
      if (isNew) whenShown(() => form.showGroup("image"));
      isNew = false;
    }
    // The mask may have changed during the await.
    paintButton.textContent = shown.mask ? "Edit mask" : "Paint mask";
    unmask.hidden = !shown.mask;
    await tintMask(overlay, shown.mask && inputFileUrl(shown.mask), size);
    openAwaited();
  }

  subscribe("form", draw);
  subscribe("signal", (asked) => {
    if (!["mask", "image", "outpaint"].includes(asked.open)) return;
    last.delete("signal");
    awaited = asked.open === "mask" ? asked.image : null;
    isNew = true;
    whenShown(() => form.showGroup("image"));
    openAwaited(); // the values may have arrived before this signal
  });
  listenForFiles(use);
  showContentHint();
}
