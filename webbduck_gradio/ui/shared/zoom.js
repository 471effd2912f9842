// A picture by itself, at any size; and two pictures over each other with a movable edge.
Object.assign(
  webbduck,
  (() => {
    const { h } = webbduck;
    const home = () => document.querySelector(".gradio-container main") ?? document.body;

    /** Open a picture over the whole window: the wheel zooms, dragging moves, Esc closes. */
    function zoom(source, alt) {
      const picture = h("img", { src: source, alt, draggable: false });
      const scale = h("output", {});
      const view = h(
        "div",
        {
          class: "viewer-view",
          tabindex: "0",
          role: "group",
          "aria-label": `${alt}. Plus and minus zoom, arrow keys move, 0 fits, 1 is full size.`,
        },
        picture,
      );
      const button = (text, title, action) =>
        h("button", { type: "button", title, "aria-label": title, onclick: action }, text);
      const dialog = h(
        "dialog",
        { class: "viewer", "aria-label": "Picture at any size" },
        view,
        h(
          "div",
          { class: "viewer-bar" },
          button("−", "Zoom out (-)", () => to(size / 1.5)),
          scale,
          button("+", "Zoom in (+)", () => to(size * 1.5)),
          button("Fit", "Fit into the window (0)", () => fit()),
          button("100 %", "One pixel of the picture on one of the screen (1)", () =>
            to(1 / devicePixelRatio),
          ),
          button("Close", "Close (Esc)", () => dialog.close()),
        ),
      );
      let size = 1;
      let left = 0;
      let top = 0;
      let held = null;
      const place = () => {
        picture.style.transform = `translate(${left}px, ${top}px) scale(${size})`;
        picture.classList.toggle("pixels", size * devicePixelRatio >= 3);
        scale.textContent = `${Math.round(size * devicePixelRatio * 100)} %`;
      };
      function to(wanted, x = view.clientWidth / 2, y = view.clientHeight / 2) {
        const next = Math.min(40, Math.max(0.02, wanted));
        left = x - ((x - left) * next) / size;
        top = y - ((y - top) * next) / size;
        size = next;
        place();
      }
      function fit() {
        size = Math.min(view.clientWidth / picture.naturalWidth, view.clientHeight / picture.naturalHeight);
        left = (view.clientWidth - picture.naturalWidth * size) / 2;
        top = (view.clientHeight - picture.naturalHeight * size) / 2;
        place();
      }
      picture.onload = fit;
      view.addEventListener(
        "wheel",
        (event) => {
          event.preventDefault();
          to(size * Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
        },
        { passive: false },
      );
      view.addEventListener("pointerdown", (event) => {
        view.setPointerCapture(event.pointerId);
        held = [event.clientX - left, event.clientY - top];
      });
      view.addEventListener("pointermove", (event) => {
        if (held) {
          left = event.clientX - held[0];
          top = event.clientY - held[1];
          place();
        }
      });
      view.addEventListener("pointerup", () => {
        held = null;
      });
      view.addEventListener("dblclick", (event) => {
        if (Math.abs(size * devicePixelRatio - 1) < 0.01) fit();
        else to(1 / devicePixelRatio, event.clientX, event.clientY);
      });
      dialog.addEventListener("keydown", (event) => {
        const move = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[
          event.key
        ];
        if (move) {
          left += move[0];
          top += move[1];
          place();
        } else if (["+", "="].includes(event.key)) to(size * 1.5);
        else if (event.key === "-") to(size / 1.5);
        else if (event.key === "0") fit();
        else if (event.key === "1") to(1 / devicePixelRatio);
        else return;
        event.preventDefault();
      });
      dialog.addEventListener("close", () => dialog.remove());
      home().append(dialog);
      dialog.showModal();
      view.focus();
    }

    /** A second picture over the one in `frame`, seen left of an edge that can be moved. Answers {end}. */
    function compare(frame, choices) {
      const other = h("img", { class: "other", alt: "" });
      const edge = h("input", {
        type: "range",
        min: "0",
        max: "100",
        step: "0.5",
        value: "50",
        class: "edge",
        "aria-label": "Edge between the two pictures",
        oninput: () => frame.style.setProperty("--edge", `${edge.value}%`),
      });
      const choose = h(
        "select",
        {
          class: "against",
          "aria-label": "Compare with",
          onchange: () => {
            other.src = choices[choose.selectedIndex].source;
          },
        },
        choices.map((each) => h("option", {}, each.name)),
      );
      const label = h("label", { class: "against-label" }, h("span", {}, "Left:"), choose);
      other.src = choices[0].source;
      frame.style.setProperty("--edge", "50%");
      frame.append(other, edge, label);
      frame.classList.add("comparing");
      edge.focus();
      return {
        end: () => {
          for (const node of [other, edge, label]) node.remove();
          frame.classList.remove("comparing");
        },
      };
    }

    return { zoom, compare };
  })(),
);
