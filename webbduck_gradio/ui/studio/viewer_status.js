// @ts-check
// The status line: seed, queue, device and links.
import { copyText } from "../shared/clipboard.js";
import { h, phone, put, setText } from "../shared/dom.js";
import { callServer } from "../shared/server_call.js";
import { showShortcuts } from "../shared/shortcuts.js";
import { openTab } from "../shared/tabs.js";
import { toast } from "../shared/toast.js";
import { menu } from "../shared/widgets.js";
import { showCompletionSettings } from "./completion_settings.js";
import { LONG } from "./view_settings.js";
import { deviceName, makeDeviceDialog, usedMemory } from "./viewer_device.js";

/**
 * Fills `line` and returns the function that updates it. `changed(device)` gets the device after a change,
 * `resume()` resumes the queue.
 *
 * @param {any} options
 */
export function makeStatusLine({ line, server, props, settings, resume, changed }) {
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
  const resumeButton = h(
    "button",
    { type: "button", class: "resume-part", "aria-label": "Resume the queue", hidden: true, onclick: resume },
    "Resume",
  );
  const dialog = makeDeviceDialog({ server, props, changed, freeMemory });
  const deviceLabel = h("span", { class: "device-name" });
  const memory = h("span", { class: "device-memory" });
  const devicePart = h(
    "button",
    { type: "button", class: "device-part", "aria-haspopup": "dialog", onclick: dialog.open },
    deviceLabel,
    memory,
  );
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
      item("Completion while typing…", showCompletionSettings),
      box("Light theme", !webbduckTheme.isDark(), () => webbduckTheme.toggle()),
      // The status line has no room for these on a phone.
      ...(phone.matches
        ? [
            h("hr"),
            item("Free memory", () => freeMemory(toast)),
            item("Shortcuts", showShortcuts),
            item("API", showApi),
          ]
        : []),
    ];
  });
  /** Unload the models, show at once how much memory that freed, and `say` what was done. */
  async function freeMemory(say) {
    const found = await callServer(() => server.webbduck_free_memory());
    if (found.error) return say(found.error);
    changed(found);
    say(
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
    resumeButton,
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
          onclick: () => freeMemory(toast),
        },
        "Free memory",
      ),
      viewButton,
      h("button", { type: "button", class: "elsewhere", onclick: () => showShortcuts() }, "Shortcuts"),
      h("button", { type: "button", class: "elsewhere", onclick: showApi }, "API"),
    ),
  );

  return function drawStatus({ seed, device, jobs }) {
    const newest = seed;
    const waiting = jobs.queued_count;
    seedPart.hidden = newest === undefined;
    seedValue.textContent = String(newest ?? "");
    const queued = waiting ? `${waiting} queued` : jobs.active_job_id ? "Nothing queued" : "Queue empty";
    queuePart.textContent = jobs.paused ? `${queued}, paused` : queued;
    queuePart.classList.toggle("is-paused", jobs.paused);
    resumeButton.hidden = !jobs.paused;
    setText(deviceLabel, deviceName(device.device));
    setText(memory, `, ${usedMemory(device)}`);
    line.classList.toggle("quiet", !waiting && !jobs.paused);
    devicePart.classList.add("device");
    dialog.draw(device);
    devicePart.title = device.policy
      ? `Models in ${device.dtype}, memory policy "${device.policy}"; in memory: ` +
        (device.in_memory.join(", ") || "none")
      : "";
  };
}
