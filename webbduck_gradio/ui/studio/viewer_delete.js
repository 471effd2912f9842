// @ts-check
// Moves the picture in the viewer to the trash, and back.
import { callOrToast } from "../shared/server_call.js";
import { focusAction, toast } from "../shared/toast.js";

/**
 * Returns the function that deletes the picture `current()`; `deleted(id)` and `restored(id)` are called when
 * that was done. `tools` is the toolbar with the button.
 */
export function makeDelete(tools, { server, current, deleted, restored }) {
  return async function remove() {
    const id = current();
    const done = await callOrToast(
      () => server.webbduck_remove(id),
      "The server did not answer; nothing was deleted.",
    );
    if (!done) return;
    deleted(id);
    toast("Moved to the trash.", async () => {
      if (!(await callOrToast(() => server.webbduck_bring_back(done.id)))) return;
      restored(id);
      tools.querySelector(".delete").focus();
    });
    // The button that had the focus may have disappeared with the picture; move the focus to Undo.
    if (document.activeElement === document.body || !tools.isConnected || tools.hidden) {
      focusAction();
    }
  };
}
