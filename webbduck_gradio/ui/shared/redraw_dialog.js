// @ts-check
// The dialog "Upscale with detail": the enlarged picture is redrawn in tiles.
import { button, h, home, setText } from "./dom.js";
import { number } from "./format.js";
import { bareName } from "./origin_names.js";

const MOST_SCALE = 8;

/**
 * `found`: what `ui/shared/upscaling.py` offers for the picture; `upscaler`: chosen in the menu;
 * `start(asked)` submits the job.
 *
 * @param {any} anchor
 * @param {{found: any, upscaler: string, start: (asked: any) => void}} options
 */
export function openRedraw(anchor, { found, upscaler, start }) {
  const { detail } = found;
  const id = (name) => `redraw-${name}`;
  const field = (name, label, control, more = null) =>
    h("div", { class: "redraw-field" }, h("label", { for: id(name) }, label), control, more);
  const option = (value, text, chosen) => h("option", { value: String(value), selected: chosen }, text);

  const fits = (value) =>
    value >= 1 && value <= MOST_SCALE && Math.max(found.width, found.height) * value <= detail.longest;
  const most = Math.min(MOST_SCALE, detail.longest / Math.max(found.width, found.height));
  const scale = h("input", {
    id: id("scale"),
    type: "number",
    min: "1",
    max: String(Math.floor(most * 100) / 100),
    step: "0.25",
    value: String(fits(detail.scale) ? detail.scale : Math.max(1, Math.floor(most * 4) / 4)),
    "aria-describedby": id("size"),
  });
  const size = h("p", { class: "redraw-size", id: id("size"), "aria-live": "polite" });
  const strength = h("input", {
    id: id("strength"),
    type: "range",
    min: "0.05",
    max: "1",
    step: "0.05",
    value: String(detail.strength),
    "aria-describedby": id("recommended"),
  });
  const shownStrength = h("output", { for: id("strength") });
  const recommended = h("p", { class: "redraw-recommended", id: id("recommended"), "aria-live": "polite" });
  const upscalers = h(
    "select",
    { id: id("upscaler") },
    found.upscalers.map((each) =>
      h(
        "option",
        { value: each.name, selected: each.name === upscaler, disabled: Boolean(each.reason) },
        each.origin ? `${bareName(each)} (${each.origin})` : each.name,
      ),
    ),
  );
  const sizes = [...new Set([...detail.tile_sizes, ...(detail.tile_size ? [detail.tile_size] : [])])];
  const tiles = h(
    "select",
    { id: id("tile") },
    option("", "The checkpoint's own size", !detail.tile_size),
    sizes
      .sort((one, other) => one - other)
      .map((each) => option(each, `${each} px`, each === detail.tile_size)),
  );
  const prompt = h("textarea", { id: id("prompt"), rows: "3" });
  prompt.value = detail.prompt;
  const describe = h("input", { id: id("describe"), type: "checkbox", checked: true });
  const described = h(
    "label",
    { class: "redraw-describe" },
    describe,
    h("span", {}, `If the prompt is empty, let ${detail.captioner} describe the picture`),
  );
  const go = h("button", { type: "submit", class: "redraw-go" }, "Upscale");
  const dialog = h(
    "dialog",
    { class: "plain-dialog redraw-dialog", "aria-label": "Upscale with detail" },
    h("h2", {}, "Upscale with detail"),
    h("p", { class: "muted" }, "The enlarged picture is redrawn in tiles, so that it gains detail."),
    h(
      "form",
      { method: "dialog" },
      field("scale", "Scale", scale, size),
      field("strength", "Strength", strength, [shownStrength, recommended]),
      field("upscaler", "Upscaler", upscalers),
      field("tile", "Tile size", tiles),
      field("prompt", "Prompt", prompt),
      described,
      h(
        "div",
        { class: "redraw-buttons" },
        button("Cancel", () => dialog.close()),
        go,
      ),
    ),
    button("×", () => dialog.close(), { class: "close", "aria-label": "Close" }),
  );

  function draw() {
    const value = Number(scale.value);
    const [width, height] = [found.width, found.height].map((side) => number(Math.round(side * value)));
    const isRight = fits(value);
    const limit = `Choose 1 to ${Math.floor(most * 100) / 100}; at most ${number(detail.longest)} px a side`;
    setText(size, isRight ? `${width} × ${height} px` : limit);
    size.classList.toggle("warning", !isRight);
    go.disabled = !isRight;
    described.hidden = !detail.captioner || prompt.value.trim() !== "";
    setText(shownStrength, Number(strength.value).toFixed(2));
    const isTooStrong = Number(strength.value) > detail.too_strong + 1e-9;
    const usual = detail.checkpoint && `${detail.checkpoint} recommends ${detail.recommended}`;
    const expected = isTooStrong ? "; expect the prompt’s subjects in single tiles" : "";
    setText(recommended, usual ? usual + expected : "");
    recommended.classList.toggle("warning", isTooStrong);
  }
  dialog.addEventListener("input", draw);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    anchor.focus();
  });
  dialog.querySelector("form").addEventListener("submit", () => {
    const text = prompt.value.trim();
    start({
      detail: true,
      scale: Number(scale.value),
      upscaler: upscalers.value,
      tile_size: tiles.value ? Number(tiles.value) : null,
      strength: Number(strength.value),
      prompt: text,
      captioner: !text && describe.checked ? detail.captioner : null,
    });
  });
  draw();
  // What lies outside of an open dialog cannot be used.
  (anchor.closest("dialog") ?? home()).append(dialog);
  dialog.showModal();
  scale.focus();
}
