// @ts-check
// The buttons that steer the job which the viewer shows: cancel, put aside, go on, retry.
import { goOnLabel } from "../shared/format.js";

/**
 * Returns the function that updates the buttons; `find(class)` returns one of the viewer's elements.
 *
 * @param {any} options
 */
export function makeControls({ find, trigger, follow, redraw }) {
  const [cancel, after, aside, goOn, resume, retry] = [
    "cancel",
    "after",
    "aside",
    "continue",
    "resume",
    "retry",
  ].map(find);
  let shown = null;
  let settling = false;

  /** A click meant for the job shown before, or for the button that was here before, must not count. */
  function settle(job) {
    const now = `${job.job_id} ${["running", "queued"].includes(job.status) ? "open" : job.status}`;
    if (shown === now) return;
    if (shown) {
      settling = true;
      setTimeout(() => {
        settling = false;
        redraw();
      }, 700);
    }
    shown = now;
  }

  return function drawControls({ job, view, left, elsewhere, paused }) {
    const active = job.status === "running";
    settle(job);
    const press = (button, event, more = {}) => {
      button.onclick = () => {
        button.disabled = true;
        trigger(event, { job_id: job.job_id, ...more });
      };
    };
    cancel.hidden = !["running", "queued", "suspended"].includes(job.status);
    cancel.disabled = settling || (Boolean(view.cancelling) && !view.cancel_after_image);
    press(cancel, "cancel_job");
    after.hidden = !active || Boolean(view.cancelling) || left <= 1;
    after.disabled = settling;
    press(after, "cancel_job", { after_image: true });
    aside.hidden = !job.can_suspend || (Boolean(view.cancelling) && !view.cancel_after_image);
    aside.disabled = settling || Boolean(view.suspending);
    press(aside, "suspend_job");
    goOn.hidden = !job.can_continue;
    goOn.disabled = settling;
    goOn.textContent = goOnLabel(job);
    press(goOn, "continue_job");
    retry.hidden = !["failed", "interrupted"].includes(job.status);
    retry.disabled = settling;
    press(retry, "retry_job");
    resume.hidden = !paused || job.status !== "queued";
    resume.disabled = settling;
    press(resume, "resume_queue");
    find("follow").hidden = !elsewhere || elsewhere === job;
    find("follow").onclick = () => follow(elsewhere.job_id, true);
  };
}
