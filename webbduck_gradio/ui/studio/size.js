// @ts-check
// Size presets, drawn as rectangles of their proportions; the selected one follows from width and height.
import { last, publish, subscribe } from "../shared/bus.js";
import { h, put, setHidden, setText } from "../shared/dom.js";
import * as form from "./form.js";
import { sizeWarning } from "./size_warning.js";

/** @param {GradioView} view */
export default function start({ element }) {
  const { presets, side_step: STEP } = webbduckFacts;
  const group = element.querySelector(".size-presets");
  let native = 1024;

  const scaled = (preset) =>
    presets[preset].map((side) => Math.max(STEP, Math.round((side * native) / 1024 / STEP) * STEP));
  function rectangle(width, height) {
    const longest = 24 / Math.max(width, height);
    const drawn = (side) => `${Math.max(5, Math.round(side * longest))}px`;
    return h("i", {
      class: "shape",
      style: `width:${drawn(width)};height:${drawn(height)}`,
      "aria-hidden": "true",
    });
  }
  function choice(name, [width, height], choose) {
    const input = h("input", { type: "radio", name: "size-preset", value: name, onchange: choose });
    return h(
      "label",
      { "data-preset": name },
      input,
      h("span", { class: "box" }, rectangle(width, height)),
      h("span", { class: "name" }, name),
    );
  }
  const nodes = Object.fromEntries(
    Object.entries(presets).map(([name, size]) => [
      name,
      choice(name, size, () => {
        const [width, height] = scaled(name);
        form.set("width", width);
        form.set("height", height);
      }),
    ]),
  );
  nodes.Custom = choice("Custom", [1, 1], () => {
    form.entry("width")?.select();
  });
  put(group, Object.values(nodes));
  const warning = h("p", { class: "size-warning", role: "status", hidden: true });

  function draw() {
    const values = form.state();
    if (!values) return;
    native =
      last.get("catalog")?.checkpoints.find((each) => each.name === values.base_model)?.native_size ?? 1024;
    const fitting =
      Object.keys(presets).find((name) => scaled(name).join() === [values.width, values.height].join()) ??
      "Custom";
    for (const [name, node] of Object.entries(nodes)) {
      node.firstChild.checked = name === fitting;
      node.classList.toggle("selected", name === fitting);
      if (presets[name]) node.title = `${scaled(name).join(" × ")} px`;
    }
    warn(values);
    const own = nodes.Custom;
    own.title = "Any width and height in steps of 8 px";
    put(
      own.querySelector(".box"),
      fitting === "Custom" && values.width > 0 && values.height > 0
        ? rectangle(values.width, values.height)
        : rectangle(1, 1),
    );
  }
  /** Below width and height, once Gradio has built them. */
  function warn(values) {
    const row = document.querySelector(".size-row");
    if (row && warning.previousElementSibling !== row) row.after(warning);
    const text = sizeWarning(values, last.get("catalog")?.checkpoints ?? [], last.get("jobs")?.recent ?? []);
    publish("size-warning", text);
    setText(warning, text ?? "");
    setHidden(warning, !text);
  }
  subscribe("form", draw);
  subscribe("catalog", draw);
  subscribe("jobs", () => {
    if (form.state()) warn(form.state()); // a job that ended tells the time of a step
  });
}
