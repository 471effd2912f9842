// @ts-check
// View settings of this browser: live previews and notifications.
import { getPref, setPref } from "../shared/preferences.js";
import { toast } from "../shared/toast.js";
import { thumbUrl } from "../shared/urls.js";

/** Jobs that take longer than this many seconds are notified about. */
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
      return toast("Browsers allow notifications only on localhost or over HTTPS.");
    }
    if (box.checked && (await Notification.requestPermission()) !== "granted") {
      box.checked = false;
      toast("Notifications from this page are blocked; allow them in the browser's settings.");
    }
    settings.notify = box.checked;
    keepSettings();
  }
  const handled = new Set();
  /** Show a system notification when a long job of this page has ended while the page lacked the focus. */
  function notify(ended) {
    for (const job of ended) {
      if (handled.has(job.job_id) || !asked.has(job.job_id)) continue;
      handled.add(job.job_id);
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
        // Chrome on Android has the constructor but throws when it is called.
        settings.notify = false;
        keepSettings();
        return toast("This browser cannot show notifications from a page.");
      }
      sent.onclick = () => {
        window.focus();
        sent.close();
      };
    }
  }
  /** Jobs submitted by this page, including before a reload. */
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
    /** Notify about this job when it ends. */
    follow: (id) => asked.add(id),
    /** Never notify about these jobs; they ended before the page was opened. */
    ignore: (jobs) => jobs.forEach((job) => handled.add(job.job_id)),
  };
}
