// @ts-check
// Removes the input picture or its mask; both can be taken back.
import { focusAction } from "../shared/toast.js";
import * as form from "./form.js";
import { offerUndo } from "./settings_menu.js";

/** Empty these fields. The button that was pressed goes away with them, so the focus moves to Undo. */
function empty(fields, text) {
  const before = form.typedState();
  for (const field of fields) form.set(field, "");
  offerUndo(text, before);
  focusAction();
}

export const removeInput = () => empty(["mask", "outpaint", "image"], "Input picture removed.");
export const removeMask = () => empty(["mask"], "Mask removed.");
