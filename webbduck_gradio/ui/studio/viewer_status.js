// @ts-check
// The status line: seed, queue, device and links.
import { copyText } from "../shared/clipboard.js";
import { h, phone, put } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { callOrToast } from "../shared/server_call.js";
import { showShortcuts } from "../shared/shortcuts.js";
import { openTab } from "../shared/tabs.js";
import { toast } from "../shared/toast.js";
import { menu } from "../shared/widgets.js";
import { LONG } from "./view_settings.js";

/**
 * Fills `line` and returns the function that updates it. `freed(device)` gets the memory after an unload.
 *
 * @param {any} options
 */
export function makeStatusLine({ line, server, settings, freed }) {
  const seedValue = h("b", {});
  const seedPart = h(
    "span",
    { class: "seed", hidden: true },
    "Seed ",
    seedValue,
    h(
      "button",
      {
        type: "button",
        "aria-label": "Copy the seed",
        onclick: (event) => copyText(seedValue.textContent, event.target),
      },
      "Copy",
    ),
  );
  const queuePart = h("button", {
    type: "button",
    class: "queue-part",
    title: "Open the queue",
    onclick: () => openTab("queue"),
  });
  const devicePart = h("span", { class: "device-part" });
  const viewButton = h("button", { type: "button" }, "View");
  menu(viewButton, "View", (close) => {
    const box = (text, on, change) =>
      h(
        "label",
        { class: "menu-check" },
        h("input", { type: "checkbox", checked: on, onchange: change }),
        text,
      );
    const item = (text, action) =>
      h(
        "button",
        {
          type: "button",
          class: "menu-item",
          onclick: () => {
            close();
            action();
          },
        },
        text,
      );
    return [
      box("Show a live preview", settings.showsPreview, (event) => {
        settings.setPreview(event.target.checked);
      }),
      box(`Notify me when a job longer than ${LONG} s ends`, settings.notifies, (event) =>
        settings.turnNotify(event.target),
      ),
      box("Light theme", !webbduckTheme.isDark(), () => webbduckTheme.toggle()),
      // The status line has no room for these on a phone.
      ...(phone.matches
        ? [h("hr"), item("Free memory", freeMemory), item("Shortcuts", showShortcuts), item("API", showApi)]
        : []),
    ];
  });
  /** Unload the models, and show at once how much memory that freed. */
  async function freeMemory() {
    const found = await callOrToast(() => server.webbduck_free_memory());
    if (!found) return;
    freed(found);
    toast(
      found.freed.length
        ? "The models were unloaded; the next job loads them again."
        : "No model was loaded.",
    );
  }
  const showApi = () => document.querySelector("footer button.show-api, footer .show-api")?.click();
  put(
    line,
    seedPart,
    queuePart,
    devicePart,
    h(
      "span",
      { class: "links" },
      h(
        "button",
        {
          type: "button",
          class: "free elsewhere",
          title: "Unload the models from memory; the next job loads them again",
          onclick: freeMemory,
        },
        "Free memory",
      ),
      viewButton,
      h("button", { type: "button", class: "elsewhere", onclick: () => showShortcuts() }, "Shortcuts"),
      h("button", { type: "button", class: "elsewhere", onclick: showApi }, "API"),
    ),
  );

  const deviceName = (name) =>
    !name
      ? "?"
      : name === "starting"
        ? "Starting up"
        : /^(cpu|cuda|mps|xpu)/.test(name)
          ? name.toUpperCase()
          : name;

  return function drawStatus({ seed, device, jobs }) {
    const newest = seed;
    const waiting = jobs.queued_count;
    seedPart.hidden = newest === undefined;
    seedValue.textContent = String(newest ?? "");
    queuePart.textContent = waiting
      ? `${waiting} queued`
      : jobs.active_job_id
        ? "Nothing queued"
        : "Queue empty";
    const memory = `${bytes(device.memory_used)} of ${bytes(device.memory_total)} used`;
    devicePart.textContent = `${deviceName(device.device)}, ${memory}`;
    devicePart.classList.add("device");
    devicePart.title = device.policy
      ? `Models in ${device.dtype}, memory policy "${device.policy}"; in memory: ` +
        (device.in_memory.join(", ") || "none")
      : "";
  };
}
