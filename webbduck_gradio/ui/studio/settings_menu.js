// Settings as a whole: presets, reset, what a picture or a text says; each with the way back.
const { h, form, toast, menu } = webbduck;
const button = element.querySelector(".presets");
const file = element.querySelector(".file");
// Events: 'apply_preset' 'use_defaults' 'use_settings' 'reset' 'restore' 'paste_parameters' 'read_picture'
let before = null;
webbduck.desk = {
  run(event, asked) {
    before = form.state();
    trigger(event, asked);
  },
};

const call = async (work) => {
  let found;
  try {
    found = await work();
  } catch {
    /* said below */
  }
  found ??= { error: "The server did not answer." };
  if (found.error) toast(found.error);
  return found.error ? null : found;
};

webbduck.readSettings = async (picture) => {
  let sent;
  try {
    sent = await upload(picture);
  } catch {
    return toast("The picture could not be sent to the server; try again.");
  }
  webbduck.desk.run("read_picture", { file: { path: sent.path } });
};
file.onchange = () => {
  if (file.files[0]) webbduck.readSettings(file.files[0]);
  file.value = "";
};

const list = menu(button, "Presets", async (close) => {
  const found = await call(() => server.webbduck_shelf({}));
  const name = h("input", {
    type: "text",
    placeholder: "Name of a new preset",
    "aria-label": "Name of a new preset",
  });
  const keep = async () => {
    if (!name.value.trim()) return name.focus();
    if (await call(() => server.webbduck_keep_preset({ name: name.value, settings: form.state() }))) {
      close();
      toast(`Kept as ${name.value.trim()}.`);
    }
  };
  name.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      keep();
    }
  });
  const rows = Object.entries(found?.presets ?? {}).map(([title, settings]) =>
    h(
      "div",
      { class: "menu-row" },
      h(
        "button",
        {
          type: "button",
          class: "menu-item",
          onclick: () => {
            close();
            webbduck.desk.run("apply_preset", { name: title });
          },
        },
        title,
      ),
      h(
        "button",
        {
          type: "button",
          class: "menu-drop",
          "aria-label": `Remove ${title}`,
          onclick: async () => {
            if (!(await call(() => server.webbduck_drop_preset(title)))) return;
            await list.refill();
            toast(`${title} removed.`, () =>
              call(() => server.webbduck_keep_preset({ name: title, settings })),
            );
          },
        },
        "×",
      ),
    ),
  );
  return [
    h(
      "div",
      { class: "menu-list" },
      rows.length
        ? rows
        : h(
            "p",
            { class: "menu-nothing" },
            "A preset keeps all settings but prompts, seed and input picture.",
          ),
    ),
    h(
      "div",
      { class: "menu-new" },
      name,
      h("button", { type: "button", class: "menu-keep", onclick: keep }, "Keep"),
    ),
    h("hr"),
    h(
      "button",
      {
        type: "button",
        class: "menu-item",
        onclick: () => {
          close();
          file.click();
        },
      },
      "Read settings from a picture",
    ),
    h(
      "button",
      {
        type: "button",
        class: "menu-item",
        onclick: () => {
          close();
          webbduck.desk.run("reset", { base_model: form.state()?.base_model });
        },
      },
      "Reset everything",
    ),
  ];
});

let seen = 0;
webbduck.subscribe("outcome", (value) => {
  if (!value.done || value.at === seen) return;
  seen = value.at;
  const values = before;
  toast(
    value.done === "Reset" ? "Everything is reset." : `${value.done} put in.`,
    values ? () => trigger("restore", { values }) : null,
  );
});
