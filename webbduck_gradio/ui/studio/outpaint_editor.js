// @ts-check
// The outpaint editor: a frame around the picture, whose edges and corners are dragged outwards.
import { h, home, setText } from "../shared/dom.js";
import { numberField, readNumber } from "../shared/numbers.js";
import { none } from "../shared/sides.js";
import { SIDES, resultSize, withSide } from "./outpaint_sides.js";

const CORNERS = [
  ["left", "top"],
  ["right", "top"],
  ["left", "bottom"],
  ["right", "bottom"],
];
const BIG_STEPS = 8;
/** Share of the view that the frame takes at rest, so that there is room to drag it outwards. */
const AT_REST = 0.72;

/**
 * Edit by how much a picture is extended. Resolves to {sides, strength: whether to set the suggested one}, or
 * to undefined if the user cancels.
 *
 * @param {{source: string, width: number, height: number, sides: import("../shared/sides.js").Sides,
 *   limits: {step: number, most: number, mostPixels: number}, strength: string, notes: string}} options
 *   `strength`: the label of a choice to set the suggested one; "" = none
 * @returns {Promise<{sides: import("../shared/sides.js").Sides, strength: boolean} | undefined>}
 */
export const editOutpaint = ({ source, width, height, sides: given, limits, strength, notes }) =>
  new Promise((resolve) => {
    const size = { width, height };
    const { step } = limits;
    let sides = { ...given };
    let inPercent = false;
    /** About the number typed last. */
    let said = "";
    let scale = 1;
    let origin = [0, 0];

    const picture = h("img", { src: source, alt: "", draggable: false });
    const frame = h("div", { class: "outpaint-frame" });
    const state = h("p", { class: "outpaint-state", role: "status" });

    const set = (side, wanted) => {
      said = "";
      sides = withSide(sides, side, wanted, size, limits);
    };

    // -- the handles
    const handleOf = (names, more) =>
      h("div", {
        class: `outpaint-handle ${names.join(" ")}`,
        onpointerdown: (event) => drag(event, names),
        ...more,
      });
    const edges = Object.fromEntries(
      Object.entries(SIDES).map(([side, { axis }]) => [
        side,
        handleOf([side], {
          role: "slider",
          tabindex: "0",
          "aria-label": `Extend on the ${side}`,
          "aria-orientation": axis === "width" ? "horizontal" : "vertical",
          "aria-valuemin": "0",
          onkeydown: (event) => press(event, side),
        }),
      ]),
    );
    const corners = CORNERS.map((names) => handleOf(names, { "aria-hidden": "true" }));
    const view = h("div", { class: "outpaint-view" }, frame, picture, Object.values(edges), corners);

    function drag(event, names) {
      if (event.button !== 0) return;
      event.preventDefault();
      const handle = event.currentTarget;
      handle.setPointerCapture(event.pointerId);
      if (handle.tabIndex === 0) handle.focus();
      const [from, x, y] = [{ ...sides }, event.clientX, event.clientY];
      const follow = ({ clientX, clientY }) => {
        for (const side of names) {
          const { axis, outward } = SIDES[side];
          set(side, from[side] + (outward * (axis === "width" ? clientX - x : clientY - y)) / scale);
        }
        show();
      };
      const leave = () => {
        handle.removeEventListener("pointermove", follow);
        handle.onpointerup = handle.onpointercancel = null;
        fit();
      };
      handle.addEventListener("pointermove", follow);
      handle.onpointerup = handle.onpointercancel = leave;
    }
    function press(event, side) {
      const { axis, outward } = SIDES[side];
      const keys = axis === "width" ? ["ArrowLeft", "ArrowRight"] : ["ArrowUp", "ArrowDown"];
      const at = keys.indexOf(event.key);
      if (event.key === "Home") set(side, 0);
      else if (at >= 0) {
        set(side, sides[side] + (at === 0 ? -1 : 1) * outward * step * (event.shiftKey ? BIG_STEPS : 1));
      } else return;
      event.preventDefault();
      fit();
    }

    // -- the numbers
    const lengthOf = (side) => size[SIDES[side].axis];
    const shownNumber = (side) =>
      String(inPercent ? Math.round((sides[side] / lengthOf(side)) * 1000) / 10 : sides[side]);
    const inputs = Object.fromEntries(
      Object.keys(SIDES).map((side) => [side, h("input", { type: "text", onchange: () => typed(side) })]),
    );
    for (const input of Object.values(inputs)) numberField(input, { step, least: 0, most: limits.most });
    function typed(side) {
      const { value, problem } = readNumber(inputs[side].value);
      if (problem) {
        said = `${label(side)} ${problem}.`;
        return show();
      }
      const wanted = inPercent ? ((value ?? 0) / 100) * lengthOf(side) : (value ?? 0);
      set(side, wanted);
      if (!inPercent && sides[side] !== wanted) {
        said = `${label(side)} is ${sides[side]} px, the nearest that is possible.`;
      }
      fit();
    }
    const label = (side) => side.replace(/^./, (first) => first.toUpperCase());
    const unit = (text, percent) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(percent === inPercent),
          onclick: (event) => {
            inPercent = percent;
            for (const each of event.currentTarget.parentNode.children) {
              each.setAttribute("aria-pressed", String(each === event.currentTarget));
            }
            show();
          },
        },
        text,
      );

    // -- what is shown
    /** Choose scale and place anew; not while dragging, or all would move below the pointer. */
    function fit() {
      const whole = resultSize(sides, size);
      const [across, down] = [view.clientWidth, view.clientHeight];
      scale = AT_REST * Math.min(across / whole.width, down / whole.height);
      origin = [
        (across - whole.width * scale) / 2 + sides.left * scale,
        (down - whole.height * scale) / 2 + sides.top * scale,
      ];
      show();
    }
    function place(node, left, top, wide, high) {
      Object.assign(node.style, {
        left: `${left}px`,
        top: `${top}px`,
        width: `${wide}px`,
        height: `${high}px`,
      });
    }
    function show() {
      const whole = resultSize(sides, size);
      const [x, y] = origin;
      const [left, top] = [x - sides.left * scale, y - sides.top * scale];
      const [wide, high] = [whole.width * scale, whole.height * scale];
      place(picture, x, y, width * scale, height * scale);
      place(frame, left, top, wide, high);
      for (const handle of [...Object.values(edges), ...corners]) {
        const at = (low, high_, from, length) =>
          from +
          (handle.classList.contains(low) ? 0 : handle.classList.contains(high_) ? length : length / 2);
        handle.style.left = `${at("left", "right", left, wide)}px`;
        handle.style.top = `${at("top", "bottom", top, high)}px`;
      }
      for (const [side, handle] of Object.entries(edges)) {
        const most = withSide(sides, side, Infinity, size, limits)[side];
        handle.setAttribute("aria-valuemax", String(most));
        handle.setAttribute("aria-valuenow", String(sides[side]));
        handle.setAttribute("aria-valuetext", `${sides[side]} px`);
        inputs[side].value = shownNumber(side);
      }
      const result = `Result: ${whole.width} × ${whole.height} px, from ${width} × ${height} px.`;
      setText(state, [said, result, notes].filter(Boolean).join(" "));
    }

    // -- the dialog
    const button = (text, title, onclick, name = "") =>
      h("button", { type: "button", class: name, title, onclick }, text);
    const suggested = h("input", { type: "checkbox", checked: true });
    const dialog = h(
      "dialog",
      { class: "outpaint-editor", "aria-label": "Outpaint: extend the picture" },
      view,
      h(
        "div",
        { class: "outpaint-bar" },
        h(
          "div",
          { class: "outpaint-sides", role: "group", "aria-label": "Pixels or percent on each side" },
          Object.entries(inputs).map(([side, input]) => h("label", {}, h("span", {}, label(side)), input)),
        ),
        h(
          "div",
          { class: "outpaint-units", role: "group", "aria-label": "Unit" },
          unit("px", false),
          unit("%", true),
        ),
        strength ? h("label", { class: "outpaint-strength" }, suggested, strength) : null,
        h(
          "div",
          { class: "outpaint-ends" },
          button("Reset", "Extend no side", () => {
            sides = none();
            for (const side of ["right", "bottom"]) set(side, 0);
            fit();
          }),
          button("Cancel", "Close without changes (Esc)", () => close(undefined)),
          button("Use", "Use this frame (Ctrl+Enter)", finish, "primary"),
        ),
        state,
      ),
    );
    const observer = new ResizeObserver(() => fit());
    function close(result) {
      observer.disconnect();
      dialog.close();
      dialog.remove();
      resolve(result);
    }
    function finish() {
      close({ sides, strength: Boolean(strength) && suggested.checked });
    }
    dialog.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        // A number that is still being typed counts.
        const side = Object.keys(inputs).find((each) => inputs[each] === document.activeElement);
        if (side) typed(side);
        finish();
      }
    });
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      close(undefined);
    });
    home().append(dialog);
    dialog.showModal();
    for (const side of ["right", "bottom"]) if (!sides[side]) set(side, 0);
    observer.observe(view);
    fit();
    edges.right.focus();
  });
