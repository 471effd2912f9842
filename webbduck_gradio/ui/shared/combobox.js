// @ts-check
// A list to choose one entry from: a field that shows the chosen entry and finds others as one types, and a
// list over the page. Roles and keys are those of the combobox in the ARIA Authoring Practices
// (https://www.w3.org/WAI/ARIA/apg/patterns/combobox/).
import { byGroup, likeliest, matching } from "./choices.js";
import { button, h, phone, put, setText } from "./dom.js";
import { originBadge } from "./origins.js";

const MANY = 8; // entries from which on a list opened by touch has a search field
const PAGE = 8; // entries that Page Up and Page Down go over
const LONG = 15; // characters from which on a narrow field shows an entry in smaller type
const MARGIN = 8; // px between the list and the window's edges
const TALLEST = 420;
const LOWEST = 180; // px below which the list rather covers its field

let made = 0;

/**
 * Make a combobox. Returns its element `node`; `value`, which can be set; `choose(value)`, as the user does;
 * `setChoices(choices)`; and `input`, the field. A value without an entry is shown as it is.
 *
 * @param {object} options
 * @param {string} options.label its accessible name
 * @param {import("./choices.js").Choice[]} [options.choices]
 * @param {any} [options.value]
 * @param {string} [options.className] of `node`
 * @param {string} [options.title] tooltip of the field
 * @param {(value: any) => void} [options.onchange] called when another entry was chosen
 */
export function makeCombobox({ label, choices = [], value = "", className = "", title, onchange }) {
  const id = `combobox-${++made}`;
  const asCombobox = {
    type: "text",
    role: "combobox",
    "aria-controls": `${id}-list`,
    "aria-autocomplete": "list",
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    oninput: (event) => filter(event.target.value),
  };
  const input = h("input", { ...asCombobox, "aria-label": label, "aria-expanded": "false" });
  const head = h("div", { class: "combobox-head", hidden: true });
  const list = h("div", { role: "listbox", id: `${id}-list`, class: "combobox-list", "aria-label": label });
  const none = h("p", { class: "combobox-none", hidden: true });
  const sheet = h("div", { class: "combobox-sheet", popover: "manual" }, head, list, none);
  const found = h("span", { class: "visually-hidden", role: "status" });
  const node = h("div", { class: `combobox ${className}` }, input, sheet, found);

  let isOpen = false;
  let shown = choices;
  /** Index in `shown` of the marked entry. */
  let marked = -1;
  /** Whether the entry was marked by typing or by keys, so that leaving the field chooses it. */
  let isMeant = false;
  let byTouch = false;
  /** The side of the open list, which stays when the list becomes shorter. @type {boolean | null} */
  let isBelow = null;

  function labelOf(some) {
    const choice = choices.find((each) => each.value === some);
    if (!choice) return String(some ?? "");
    return choice.origin ? `${choice.label} · ${choice.origin}` : choice.label;
  }
  function showValue() {
    input.value = labelOf(value);
    input.classList.toggle("long", input.value.length > LONG);
    if (document.activeElement === input) input.select();
  }
  const fields = () => [input, ...head.querySelectorAll("input")];

  function draw() {
    let index = 0;
    put(
      list,
      byGroup(shown).flatMap(([group, entries], place) => {
        const rows = entries.map((entry) => {
          const at = index++;
          return h(
            "div",
            {
              role: "option",
              id: `${id}-${at}`,
              "aria-selected": String(entry.value === value),
              onclick: () => {
                input.focus();
                close();
                choose(entry.value);
              },
              onpointermove: (event) => {
                if (event.pointerType !== "mouse" || at === marked) return;
                isMeant = false;
                mark(at, false);
              },
            },
            entry.label,
            originBadge(entry),
          );
        });
        if (!group) return rows;
        const name = `${id}-group-${place}`;
        return h(
          "div",
          { role: "group", "aria-labelledby": name },
          h("div", { class: "combobox-group", id: name, role: "presentation" }, group),
          rows,
        );
      }),
    );
    list.hidden = !shown.length;
    none.hidden = Boolean(shown.length);
  }

  /** Mark an entry; `block` says how it is scrolled into view, false leaves the list where it is. */
  function mark(at, block) {
    list.querySelector(".marked")?.classList.remove("marked");
    marked = at;
    const row = list.querySelector(`#${id}-${at}`);
    for (const field of fields()) {
      if (row) field.setAttribute("aria-activedescendant", row.id);
      else field.removeAttribute("aria-activedescendant");
    }
    if (!row) return;
    row.classList.add("marked");
    if (block === "center") list.scrollTop = row.offsetTop - (list.clientHeight - row.offsetHeight) / 2;
    else if (block) row.scrollIntoView({ block });
  }

  function open() {
    if (isOpen) return;
    isOpen = true;
    isMeant = false;
    isBelow = null;
    shown = choices;
    fillHead();
    draw();
    sheet.showPopover();
    input.setAttribute("aria-expanded", "true");
    place();
    mark(
      shown.findIndex((choice) => choice.value === value),
      "center",
    );
    for (const event of ["scroll", "resize"]) window.addEventListener(event, follow, true);
    document.addEventListener("pointerdown", outside, true);
  }

  /** Close the list; `takes` chooses the entry that was marked by typing or by keys. */
  function close(takes = false) {
    if (!isOpen) return;
    isOpen = false;
    const entry = takes && isMeant ? shown[marked] : null;
    sheet.hidePopover();
    put(head);
    put(list);
    for (const event of ["scroll", "resize"]) window.removeEventListener(event, follow, true);
    document.removeEventListener("pointerdown", outside, true);
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    setText(found, "");
    showValue();
    if (entry) choose(entry.value);
  }

  function choose(another) {
    if (another === value) return;
    value = another;
    showValue();
    onchange?.(value);
  }

  function done() {
    input.focus();
    close(true);
  }

  /** As a sheet and by touch the list has a title, and a search field if it is long. */
  function fillHead() {
    const hasHead = phone.matches || byTouch;
    head.hidden = !hasHead;
    if (!hasHead) return;
    put(
      head,
      h("b", {}, label),
      button("Done", done, { class: "combobox-done" }),
      choices.length > MANY
        ? h("input", {
            ...asCombobox,
            "aria-label": `Search: ${label}`,
            "aria-expanded": "true",
            placeholder: "Search",
          })
        : null,
    );
  }

  function filter(text) {
    open();
    isMeant = Boolean(text.trim());
    shown = matching(choices, text);
    draw();
    place();
    setText(none, `Nothing here is called “${text.trim()}”.`);
    setText(found, shown.length ? `${shown.length} of ${choices.length}` : none.textContent);
    mark(isMeant ? likeliest(shown, text) : shown.findIndex((choice) => choice.value === value), "nearest");
  }

  /** Beside the field; the style sheet places it where it is a sheet. */
  function place() {
    if (phone.matches) {
      sheet.removeAttribute("style");
      return;
    }
    const box = input.getBoundingClientRect();
    sheet.style.minWidth = `${box.width}px`;
    sheet.style.maxHeight = `${TALLEST}px`;
    const wanted = sheet.offsetHeight;
    const below = innerHeight - box.bottom - MARGIN - 4;
    const above = box.top - MARGIN - 4;
    isBelow ??= wanted <= below || below >= above;
    const room = Math.max(isBelow ? below : above, LOWEST);
    const height = Math.min(wanted, room);
    const top = isBelow ? box.bottom + 4 : box.top - 4 - height;
    sheet.style.maxHeight = `${Math.min(TALLEST, room, innerHeight - 2 * MARGIN)}px`;
    sheet.style.top = `${Math.max(MARGIN, Math.min(top, innerHeight - height - MARGIN))}px`;
    sheet.style.left = `${Math.max(MARGIN, Math.min(box.left, innerWidth - sheet.offsetWidth - MARGIN))}px`;
  }
  function follow(event) {
    if (event.type === "scroll" && sheet.contains(event.target)) return;
    const { top, bottom, width } = input.getBoundingClientRect();
    if (!width || bottom < 0 || top > innerHeight) close();
    else place();
  }
  function outside(event) {
    if (!node.contains(event.target)) close();
  }

  /** Go to another entry; what does not fit into the list stays at its end. */
  function go(to) {
    isMeant = true;
    mark(Math.max(0, Math.min(shown.length - 1, to)), "nearest");
  }
  /** @type {Record<string, () => void>} keys of the open list */
  const moves = {
    ArrowDown: () => go(marked + 1),
    ArrowUp: () => go(marked < 0 ? shown.length - 1 : marked - 1),
    Home: () => go(0),
    End: () => go(shown.length - 1),
    PageDown: () => go(marked + PAGE),
    PageUp: () => go(marked - PAGE),
  };
  node.addEventListener("keydown", (event) => {
    const { key } = event;
    if (event.isComposing || event.ctrlKey || event.metaKey || !fields().includes(event.target)) return;
    if (key === "Tab") {
      close(true);
      return;
    }
    if (!isOpen) {
      if (!["ArrowDown", "ArrowUp", "Enter", " "].includes(key)) return;
      open();
    } else if (key === "Escape") {
      input.focus();
      close();
    } else if (key === "Enter" || (event.altKey && key === "ArrowUp")) {
      isMeant = true;
      done();
    } else if (moves[key] && !event.shiftKey && !event.altKey) moves[key]();
    else return;
    // A list inside a dialog or a toolbar has its keys to itself.
    event.preventDefault();
    event.stopPropagation();
  });
  input.addEventListener("pointerdown", (event) => {
    byTouch = event.pointerType === "touch";
    // The list comes without the keyboard of the screen, which would cover it.
    input.inputMode = byTouch ? "none" : "text";
  });
  // Only where the pointer is, since screen readers would read it after the label.
  input.addEventListener("pointerenter", () => {
    const isCut = input.scrollWidth > input.clientWidth;
    input.title = [isCut ? input.value : "", title].filter(Boolean).join(": ");
  });
  input.addEventListener("click", () => {
    if (isOpen) close();
    else open();
    input.select();
  });
  // What is typed replaces the shown entry.
  input.addEventListener("focus", () => input.select());
  // The field keeps the focus while the list is used.
  sheet.addEventListener("mousedown", (event) => {
    if (!event.target.closest("input")) event.preventDefault();
  });
  node.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !node.contains(event.relatedTarget)) close();
  });

  showValue();
  return {
    node,
    input,
    get value() {
      return value;
    },
    set value(now) {
      value = now;
      if (!isOpen) showValue();
      else draw();
    },
    choose,
    setChoices(now) {
      if (JSON.stringify(now) === JSON.stringify(choices)) return;
      choices = now;
      if (!isOpen) showValue();
      else filter(isMeant ? input.value : "");
    },
  };
}
