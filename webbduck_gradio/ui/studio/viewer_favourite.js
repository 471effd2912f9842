// @ts-check
// The favourite button of the viewer.
import { callOrToast, callServer } from "../shared/server_call.js";

/** `current()` returns the id of the picture that is shown. */
export function makeFavourite(button, { server, current }) {
  /** Cached favourite state by picture id. */
  const known = new Map();
  async function show(id) {
    if (!known.has(id)) {
      known.set(id, false);
      const found = await callServer(() => server.webbduck_about(id));
      if (found.lost) known.delete(id);
      else known.set(id, Boolean(found.favourite));
    }
    if (current() !== id) return;
    button.setAttribute("aria-pressed", String(known.get(id)));
  }
  async function toggle() {
    const id = current();
    // The button's state is toggled, not the cache's, which may have been cleared since.
    const wanted = button.getAttribute("aria-pressed") !== "true";
    if (!(await callOrToast(() => server.webbduck_favour({ id, favourite: wanted })))) return;
    known.set(id, wanted);
    show(id);
  }

  return { show, toggle, forget: () => known.clear() };
}
