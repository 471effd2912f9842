// @ts-check
// The input picture: dropped, pasted, chosen or sent from the gallery; its mask is painted in the editor.
import { last, subscribe } from "../shared/bus.js";
import { button, h, put } from "../shared/dom.js";
import { openSheet } from "../shared/mobile_sheet.js";
import { callServer } from "../shared/server_call.js";
import { settings } from "../shared/settings.js";
import { toast } from "../shared/toast.js";
import { thumbUrl } from "../shared/urls.js";
import { menu } from "../shared/widgets.js";
import { listenForFiles } from "./file_drop.js";
import * as form from "./form.js";
import { editMask } from "./mask_editor.js";
import { tintMask } from "./mask_overlay.js";

/** @param {GradioView} view */
export default function start({ element, props, trigger, server, upload }) {
  const chooser = element.querySelector(".chooser");
  const file = element.querySelector(".file");
  const chosen = element.querySelector(".chosen-picture");
  const said = element.querySelector(".said");
  const urlOf = (id) => `media/input/${id}`;
  let shown = { image: "", mask: "" };
  let size = null;
  /** The picture whose editor was asked for and has not opened yet. */
  let awaited = null;

  function say(text, offer = null) {
    put(
      said,
      text
        ? h(
            "div",
            { class: "notice error at-control" },
            h("span", {}, text),
            offer,
            h(
              "button",
              { type: "button", class: "dismiss", "aria-label": "Dismiss", onclick: () => say("") },
              "×",
            ),
          )
        : null,
    );
    if (!text) return;
    form.unfold("image");
    said.scrollIntoView({ block: "nearest" });
  }

  async function store(blob, name) {
    return callServer(async () => {
      const sent = await upload(new File([blob], name, { type: blob.type }));
      return server.webbduck_store({ path: sent.path });
    }, "The picture could not be sent to the server; try again.");
  }

  async function use(blob) {
    await take(store(blob, blob.name || "pasted.png"));
  }

  async function take(storing) {
    say("");
    chooser.classList.add("busy");
    const found = await storing;
    chooser.classList.remove("busy");
    if (found.error) return say(found.error);
    size = found;
    awaited = null;
    form.set("mask", "");
    form.set("image", found.id);
    form.unfold("image");
  }

  if (window.matchMedia("(pointer: coarse)").matches) {
    chooser.querySelector("b").textContent = "Choose or take a picture";
  }
  chooser.onclick = () => file.click();
  file.onchange = () => {
    if (file.files[0]) use(file.files[0]);
    file.value = "";
  };

  // The last pictures, so that going on with one needs no way through the gallery.
  const MOST_RECENT = 6;
  const latest = h("div", {
    class: "latest",
    role: "group",
    "aria-label": "Or one of the last pictures",
    hidden: true,
  });
  chooser.after(latest);
  subscribe("jobs", (state) => {
    const ids = state.recent
      .filter((job) => ["generate", "test"].includes(job.kind))
      .flatMap((job) => job.images.toReversed())
      .slice(0, MOST_RECENT);
    if (latest.dataset.key === ids.join()) return;
    latest.dataset.key = ids.join();
    put(
      latest,
      ids.map((id) =>
        h(
          "button",
          {
            type: "button",
            title: "Use as input picture",
            "aria-label": `Use ${id} as input picture`,
            onclick: () => take(callServer(() => server.webbduck_store(id))),
          },
          h("img", {
            src: thumbUrl(id),
            alt: "",
            loading: "lazy",
            onerror: (event) => event.target.closest("button").remove(),
          }),
        ),
      ),
    );
    latest.hidden = !ids.length || Boolean(shown.image);
  });

  function remove() {
    awaited = null;
    form.set("mask", "");
    form.set("image", "");
    say("");
  }

  /** Whether the size of this picture, the input, is known; the server is asked where it is not. */
  async function measure(id) {
    if (size?.id === id) return true;
    const found = await callServer(
      () => server.webbduck_size(id),
      "The server did not answer, so the picture's size is not known; try again.",
    );
    if (shown.image !== id) return false;
    if (found.lost) say(found.error);
    else if (found.error) {
      remove();
      say(found.error);
    } else size = found;
    return size?.id === id;
  }

  async function paint() {
    const id = shown.image;
    if (!id || !(await measure(id)) || document.querySelector(".mask-editor")) return;
    const done = await editMask({
      source: urlOf(id),
      width: size.width,
      height: size.height,
      mask: shown.mask ? urlOf(shown.mask) : null,
      wish:
        form.state().inpainting_fill === "keep"
          ? "Paint what should stay as it is; all else is drawn anew (mask mode: Inpaint not masked)."
          : undefined,
    });
    if (done) await keepMask(id, done.mask);
  }
  /** Take over what was painted on this picture, or say why that is not possible. */
  async function keepMask(id, mask) {
    const found = mask && shown.image === id ? await store(mask, "mask.png") : { id: "" };
    if (shown.image !== id) {
      return mask && say("The mask is not kept, since another input picture came while it was painted.");
    }
    if (found.error) {
      return say(
        `The mask is not kept yet. ${found.error}`,
        h(
          "button",
          {
            type: "button",
            onclick: () => {
              say("");
              keepMask(id, mask);
            },
          },
          "Try again",
        ),
      );
    }
    form.set("mask", found.id);
  }
  /** Open the editor that was asked for, once its picture is shown and measured and the old mask is gone. */
  function openAwaited() {
    if (!awaited || shown.image !== awaited || shown.mask || size?.id !== awaited) return;
    awaited = null;
    paint();
  }

  /** Take the picture's size over where it can be had, else offer the nearest ones. */
  async function takeSize() {
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
          ? `The picture is ${width} × ${height} px; a size must be a multiple of ${STEP}.`
          : `The picture is ${width} × ${height} px, which is not possible as a size.`,
        different.length ? " Near it: " : "",
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
    title: "Mark the part of the picture that is inpainted, or that is protected (see mask mode)",
  });
  const unmask = button("Remove mask", () => form.set("mask", ""), {
    class: "unmask",
    title: "Change all of the picture again",
  });
  // Words for the picture come by the queue, since a model has to look at it.
  const describeButton = button("Describe", null, { class: "describe", title: "Have the picture captioned" });
  const words = h("div", { class: "words", role: "status" });
  let describing = null;
  menu(describeButton, "Describe the picture", (close) =>
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
    if (value.error) say(value.error);
    if (value.caption) {
      describing = { job: value.caption, image: shown.image };
      put(words, h("p", {}, "Looking at the picture"));
    }
  });
  subscribe("jobs", (state) => {
    const job = describing && [...state.jobs, ...state.recent].find((each) => each.job_id === describing.job);
    if (!job || describing.image !== shown.image) return;
    if (job.status === "queued") return put(words, h("p", {}, job.headline));
    if (job.status === "running") return put(words, h("p", {}, "Looking at the picture"));
    describing = null;
    const text = job.result?.caption;
    if (!text) {
      put(words);
      return say(job.error ?? job.headline);
    }
    const before = form.state().prompt;
    put(
      words,
      h("p", { class: "caption" }, text),
      h(
        "button",
        {
          type: "button",
          onclick: () => {
            form.set("prompt", text);
            put(words);
            toast("Put in as the prompt.", () => form.set("prompt", before));
          },
        },
        "Use as prompt",
      ),
      h("button", { type: "button", onclick: () => put(words) }, "Dismiss"),
    );
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
        button("Remove", remove, { class: "remove", title: "Go on without an input picture" }),
      ),
      paintButton,
      unmask,
      button("Take its size", takeSize, {
        class: "take-size",
        title: "Set width and height to the picture's",
      }),
      describeButton,
    ),
    words,
    offers,
  );

  async function draw(state) {
    const { image, mask } = state;
    if (image === shown.image && mask === shown.mask) return;
    const before = shown;
    shown = { image, mask };
    chooser.hidden = Boolean(image);
    chosen.hidden = !image;
    latest.hidden = Boolean(image) || !latest.childElementCount;
    if (image !== before.image) {
      put(words);
      describing = null;
    }
    if (!image) {
      size = null;
      put(offers);
      return;
    }
    if (image !== before.image) {
      picture.src = urlOf(image);
      facts.textContent = "";
      put(offers);
      if (!(await measure(image))) return;
      facts.textContent = `${size.width} × ${size.height} px`;
    }
    // Meanwhile the mask may be another.
    paintButton.textContent = shown.mask ? "Edit mask" : "Paint mask";
    unmask.hidden = !shown.mask;
    await tintMask(overlay, shown.mask && urlOf(shown.mask), size);
    openAwaited();
  }

  subscribe("form", draw);
  subscribe("signal", (asked) => {
    if (!["mask", "image"].includes(asked.open)) return;
    last.delete("signal");
    form.unfold("image");
    awaited = asked.open === "mask" ? asked.image : null;
    if (!awaited) openSheet();
    openAwaited(); // the values may have come before the wish
  });
  listenForFiles(use);
}
