// @ts-check
// Whether the server answers, and the banner that says when it does not.
//
// A tick of the page's timer finds that out, or one of Gradio's requests, after which Gradio runs no event
// any more, shows a toast, and reloads the page when the server answers again. The toast is the only trace of
// that; the banner replaces it.
import { last, publish } from "./bus.js";
import { button, h, home, put } from "./dom.js";
import { toast } from "./toast.js";

const SAID_BY_GRADIO = "Connection to the server was lost";

/** Whether the connection is lost. The channel "connection" gets {lost: true} when that is found. */
export const isLost = () => Boolean(last.get("connection")?.lost);

/** An action of a view, which is refused with a message while the connection is lost. */
export const unlessLost = (trigger) => (event, data) => {
  // "change" reports a value that the view keeps itself.
  if (isLost() && event !== "change") toast("The studio does not answer, so nothing was done.");
  else trigger(event, data);
};

const text = h("span", {});
const actions = h("span", { class: "actions" });
const banner = h("div", { class: "outage-banner", role: "alert" }, text, actions);
const page = document.documentElement;
new ResizeObserver(() => page.style.setProperty("--banner", `${banner.offsetHeight}px`)).observe(banner);

/** Show the banner with this sentence; `buttons` are [label, action] and hide it. */
export function showBanner(sentence, buttons = []) {
  text.textContent = sentence;
  put(
    actions,
    buttons.map(([label, action]) =>
      button(label, () => {
        banner.remove();
        page.classList.remove("with-banner");
        action();
      }),
    ),
  );
  if (!banner.isConnected) home().append(banner);
  page.classList.add("with-banner");
}

/** Take the connection for lost, say so, and wait for the page's reload. */
export function lose() {
  if (isLost()) return;
  observer.disconnect();
  page.classList.add("unanswered");
  showBanner("The studio does not answer. What you type is kept.");
  publish("connection", { lost: true });
}

const toasts = document.getElementsByClassName("toast-wrap");
const observer = new MutationObserver(() => {
  if (toasts[0]?.textContent.includes(SAID_BY_GRADIO)) lose();
});
observer.observe(document.body, { childList: true, subtree: true });
