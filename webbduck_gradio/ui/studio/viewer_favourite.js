// @ts-check
// The star of the picture in the viewer.
import { callOrToast, callServer } from "../shared/server_call.js";

/** `current()` is the id of the picture that is shown. */
export function makeFavourite(button, { server, current }) {
  /** Whether pictures are favourites, by id. */
  const known = new Map();
  /** Whether the picture is a favourite. */
  async function show(id) {
    if (!known.has(id)) {
      known.set(id, false);
      const found = await callServer(() => server.webbduck_about(id));
      if (found.lost) known.delete(id);
      else known.set(id, Boolean(found.favourite));
    }
    if (current() !== id) return;
    button.setAttribute("aria-pressed", String(known.get(id)));
    button.title = known.get(id) ? "A favourite; press to take it back" : "Favourite";
  }
  async function toggle() {
    const id = current();
    // What is shown is toggled; what was known of it may just have been forgotten.
    const wanted = button.getAttribute("aria-pressed") !== "true";
    if (!(await callOrToast(() => server.webbduck_favour({ id, favourite: wanted })))) return;
    known.set(id, wanted);
    show(id);
  }

  return { show, toggle, forget: () => known.clear() };
}
