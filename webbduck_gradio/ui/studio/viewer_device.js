// @ts-check
// The dialog about the device: what the core runs on, and how it uses it.
import { button, h, home, setHidden, setText } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { callServer } from "../shared/server_call.js";

/** Stands for no memory policy of one's own. */
const AUTOMATIC = "automatic";

/** "CUDA:1" of "cuda:1"; "Starting up" until the core is loaded. */
export const deviceName = (name) =>
  !name
    ? "?"
    : name === "starting"
      ? "Starting up"
      : /^(cpu|cuda|mps|xpu)/.test(name)
        ? name.toUpperCase()
        : name;

/** "3.1 GiB of 24 GiB used". */
export const usedMemory = (device) => `${bytes(device.memory_used)} of ${bytes(device.memory_total)} used`;

/** What is known about the device, by its title; undefined where it is not known yet. */
function facts(device) {
  const { small, large } = device.dtypes ?? {};
  const hasName = device.name && device.name.toLowerCase() !== device.device;
  return {
    Device: hasName ? `${device.name} (${deviceName(device.device)})` : deviceName(device.device),
    Precision: small && small !== large ? `${small}; ${large} for large checkpoints` : small,
    Memory: usedMemory(device),
    "Models in memory": device.in_memory && (device.in_memory.join(", ") || "None"),
    "Policy in use": device.policy,
  };
}

/**
 * Returns `open`, and `draw(device)`, which shows a change by whoever made it. `props` has the `policies` and
 * what the studio was `started_with`; `changed(device)` gets the device after a change, and
 * `freeMemory(say)` unloads the models.
 *
 * @param {any} options
 */
export function makeDeviceDialog({ server, props, changed, freeMemory }) {
  let device = {};
  /** What the user chose and the server has not confirmed. */
  let asked = null;
  let sending = false;
  /** Number of choices so far; what the server answered to an earlier one is outdated. */
  let count = 0;
  const { memory: startPolicy, compiled: startCompiled } = props.started_with;

  const rows = Object.keys(facts({})).map((title) => ({ title, dt: h("dt", {}, title), dd: h("dd", {}) }));
  const status = h("p", { class: "device-status", role: "status" });
  const say = (text) => setText(status, text);
  const policies = [
    {
      name: AUTOMATIC,
      title: "Automatic",
      about: "chosen for each job by what is free and by the picture's size",
    },
    ...props.policies,
  ];
  const radios = policies.map(({ name }) =>
    h("input", {
      type: "radio",
      name: "memory-policy",
      value: name,
      "aria-labelledby": `policy-${name}`,
      "aria-describedby": `policy-${name}-about`,
      onchange: () => choose({ memory: name }),
    }),
  );
  const compile = h("input", {
    type: "checkbox",
    role: "switch",
    "aria-describedby": "compile-notes",
    onchange: () => choose({ compiled: compile.checked }),
  });
  const problem = h("p", { class: "problem" });
  const note = (text) => h("p", { class: "muted" }, text);
  const dialog = h(
    "dialog",
    { class: "plain-dialog device-dialog", "aria-labelledby": "device-title" },
    h("h2", { id: "device-title" }, "Device"),
    h("dl", { class: "details" }, rows.map(({ dt, dd }) => [dt, dd]).flat()),
    h(
      "fieldset",
      {},
      h("legend", {}, "Memory policy"),
      policies.map(({ name, title, about }, index) =>
        h(
          "label",
          { class: "device-policy" },
          radios[index],
          h("span", { id: `policy-${name}` }, title ?? name),
          h("span", { class: "muted", id: `policy-${name}-about` }, about[0].toUpperCase() + about.slice(1)),
        ),
      ),
      startPolicy &&
        note(`The studio was started with --memory ${startPolicy}, which holds again when it restarts.`),
    ),
    h(
      "label",
      { class: "device-compile" },
      compile,
      "Compile (for graphics cards; the first picture takes longer)",
    ),
    h(
      "div",
      { id: "compile-notes" },
      startCompiled
        ? note("The studio was started with --compile, which holds again when it restarts.")
        : null,
      problem,
    ),
    h(
      "div",
      { class: "device-foot" },
      button("Free memory", () => freeMemory(say)),
      status,
    ),
    button("×", () => dialog.close(), { class: "close", "aria-label": "Close" }),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());

  function draw(found = device) {
    device = found;
    if (!dialog.open) return;
    const known = facts(device);
    for (const { title, dt, dd } of rows) {
      setText(dd, known[title] ?? "");
      for (const part of [dt, dd]) setHidden(part, !known[title]);
    }
    const { memory, compiled } = { memory: device.memory ?? AUTOMATIC, compiled: device.compiled, ...asked };
    for (const radio of radios) radio.checked = radio.value === memory;
    // Arrow keys go on from the focused one, which another page's choice would leave behind.
    if (radios.includes(document.activeElement)) radios.find((radio) => radio.checked)?.focus();
    compile.checked = Boolean(compiled);
    setText(problem, device.compile_problem ?? "");
    setHidden(problem, !device.compile_problem);
  }

  /**
   * Send what was chosen, one call after the other, so that the last choice holds. Arrow keys choose each
   * policy that they pass.
   */
  async function choose(choice) {
    asked = { ...asked, ...choice };
    count += 1;
    if (sending) return;
    sending = true;
    while (asked) {
      const sent = asked;
      const found = await callServer(() => server.webbduck_device(sent));
      if (asked === sent) asked = null;
      if (found.error) say(found.error);
      else {
        say("Holds from the next job on.");
        changed(found);
      }
    }
    sending = false;
    draw();
  }

  async function open() {
    home().append(dialog);
    say("");
    dialog.showModal();
    draw();
    (radios.find((radio) => radio.checked) ?? radios[0]).focus();
    const before = count;
    const found = await callServer(() => server.webbduck_device({}));
    if (!found.error && before === count) changed(found);
  }

  return { open, draw };
}
