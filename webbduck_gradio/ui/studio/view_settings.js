// @ts-check
// What is set for this browser: previews while a picture is made, and notifications.
import { getPref, setPref } from "../shared/preferences.js";
import { toast } from "../shared/toast.js";
import { thumbUrl } from "../shared/urls.js";

/** Seconds after which the end of a job is worth a notification. */
export const LONG = 15;

/** `changed` is called after each change of the settings. */
export function viewSettings(changed) {
  const settings = { preview: true, notify: false, ...getPref("view", {}) };
  function keepSettings() {
    setPref("view", settings);
    changed();
  }
  async function turnNotify(box) {
    if (box.checked && (!window.isSecureContext || !("Notification" in window))) {
      box.checked = false;
      return toast("The browser allows notifications only under localhost or https.");
    }
    if (box.checked && (await Notification.requestPermission()) !== "granted") {
      box.checked = false;
      toast("The browser does not allow notifications of this page; change that in its settings.");
    }
    settings.notify = box.checked;
    keepSettings();
  }
  const told = new Set();
  /** A word from the system when a job of this page that took long has ended while nobody looked. */
  function notify(ended) {
    for (const job of ended) {
      if (told.has(job.job_id) || !asked.has(job.job_id)) continue;
      told.add(job.job_id);
      if (!settings.notify || document.hasFocus() || job.finished - job.created < (settings.long ?? LONG)) {
        continue;
      }
      let sent;
      try {
        sent = new Notification(`WebbDuck: ${job.headline}`, {
          body: job.request.prompt,
          icon: job.images.length ? thumbUrl(job.images.at(-1)) : undefined,
          tag: job.job_id,
        });
      } catch {
        // Chrome on Android has the name, and refuses the call
        settings.notify = false;
        keepSettings();
        return toast("This browser cannot show notifications of a page.");
      }
      sent.onclick = () => {
        window.focus();
        sent.close();
      };
    }
  }
  /** This page's own jobs, the one before a reload among them. */
  const asked = new Set();

  return {
    get showsPreview() {
      return settings.preview;
    },
    get notifies() {
      return settings.notify;
    },
    setPreview(on) {
      settings.preview = on;
      keepSettings();
    },
    turnNotify,
    notify,
    /** A job of this page. */
    follow: (id) => asked.add(id),
    /** Jobs that ended before the page was there. */
    ignore: (jobs) => jobs.forEach((job) => told.add(job.job_id)),
  };
}
