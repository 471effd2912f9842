// @ts-check
// A list that a control of the form holds: styles, detail passes, LoRAs. Its value is the list as JSON.

/** The list in a control's value; null if it is none. @returns {any[] | null} */
export function listIn(value) {
  try {
    const found = JSON.parse(value || "[]");
    return Array.isArray(found) ? found : null;
  } catch {
    return null;
  }
}

/** The value of a control with this list; "" without entries. @param {any[]} list */
export const valueOf = (list) => (list.length ? JSON.stringify(list) : "");

/** Give a control its value, and Gradio the change. @param {Pick<GradioView, "props" | "trigger">} view */
export function setValue({ props, trigger }, value) {
  if (props.value === value) return;
  props.value = value;
  trigger("change");
}
