// @ts-check
// The settings' declarations (request/fields.py) in the page: labels, display values, when a setting applies,
// and one-line summaries.

import { sidesText } from "./sides.js";

const facts = /** @type {any} */ (globalThis).webbduckFacts;

/** Declaration of each setting by name, in form order. @type {Record<string, any>} */
export const settings = facts?.settings ?? {};

/** As in Python, an empty list is not set. */
const isSet = (value) => (Array.isArray(value) ? value.length > 0 : Boolean(value));

function holds([field, operator, wanted], values) {
  const value = values[field];
  if (operator === "set" || operator === "unset") return isSet(value) === (operator === "set");
  if (operator === "in") return wanted.includes(value);
  return (value === wanted) === (operator === "is");
}
const allHold = (tests, values) => tests.every((test) => holds(test, values));
const firstMatch = (rules, values) => rules.find(([tests]) => allHold(tests, values))[1];

/**
 * Kind of a request's second pass: "refiner", "img2img", or null if there is none or it is unknown.
 *
 * @param {Record<string, any>} values fields of the request
 * @param {string | null | undefined} arch architecture of the second model
 * @param {any} [tables] as in request/conditions.py
 * @returns {string | null}
 */
export function secondPassKind(values, arch, tables = facts) {
  return firstMatch(tables.second_pass_rules, { ...values, second_pass_arch: arch });
}

/**
 * The mode of a request: "text2img", "img2img", "inpaint" or "outpaint".
 *
 * @param {Record<string, any>} values fields of the request
 * @param {any} [tables] as in request/modes.py
 * @returns {string}
 */
export const modeOf = (values, tables = facts) => firstMatch(tables.mode_rules, values);

/** What is done with the input picture in words; null where there is none. */
export const modeText = (values) =>
  ({
    text2img: null,
    img2img: "img2img",
    inpaint: values.inpainting_fill === "keep" ? "Inpainting all but the mask" : "Inpainting",
    outpaint: `Outpaint: ${sidesText(values.outpaint)}`,
  })[modeOf(values)];

/**
 * Which conditions hold for the fields of a request.
 *
 * @param {Record<string, any>} values
 * @param {string | null | undefined} arch architecture of the second model
 * @param {any} [tables] as in request/conditions.py
 * @returns {Record<string, boolean>}
 */
export function conditionsOf(values, arch, tables = facts) {
  const known = { ...values, second_pass_kind: secondPassKind(values, arch, tables) };
  return Object.fromEntries(
    Object.entries(tables.conditions).map(([name, { tests, alternatives, negated }]) => [
      name,
      [tests, ...alternatives].some((each) => allHold(each, known)) !== negated,
    ]),
  );
}

/** Whether a setting has an effect under these conditions. */
export const applies = (name, conditions) => settings[name].applies.every((each) => conditions[each]);

const capitalised = (text) => text.replace(/^./, (first) => first.toUpperCase());

/** A setting's label; for an unknown name, the name in words. */
export const labelOf = (name) => settings[name]?.label ?? capitalised(name.replaceAll("_", " "));

const isEmpty = (value) =>
  value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);

/** The detectors of detail passes, also as the form holds them (studio/details.py). */
function detectorsOf(details) {
  const passes = typeof details === "string" ? JSON.parse(details || "[]") : details;
  return passes.map((each) => each.detector).join(", ");
}

/** The names of chosen styles, also as the form holds them (studio/styles.py). */
function namesOf(styles) {
  const chosen = typeof styles === "string" ? JSON.parse(styles || "[]") : styles;
  return chosen.map((each) => each.name).join(", ");
}

/** A value as text, without its unit. */
export function valueText(name, value) {
  if (settings[name]?.control === "details") return detectorsOf(value);
  if (settings[name]?.control === "styles") return namesOf(value);
  if (Array.isArray(value)) {
    return value.map((each) => (each.name ? `${each.name} ${each.weight}` : String(each))).join(", ");
  }
  if (settings[name]?.control === "sides") return sidesText(value);
  if (typeof value === "number") return String(Number(value.toFixed(3)));
  return settings[name]?.choices[value] ?? String(value);
}

/** A value as text, with its unit. */
export function withUnit(name, value) {
  const unit = settings[name]?.unit;
  return unit ? `${valueText(name, value)} ${unit}` : valueText(name, value);
}

/** A fraction as a percentage; a typed text that is not a number is returned unchanged. */
export const percent = (value) => (typeof value === "number" ? `${Math.round(value * 100)} %` : value || "?");

function filled(template, name, values) {
  return template.replace(/\{([^}]*)\}/g, (_, key) => {
    const field = key && key !== "%" ? key : name;
    const value = values[field];
    if (isEmpty(value)) return "?";
    return key === "%" ? percent(value) : valueText(field, value);
  });
}

/** Whether a summary omits a setting: it is empty, or has a default that is not listed. */
function isUnderstood({ control, is_optional, listed_at_default, default: usual }, value) {
  if (isEmpty(value)) return control !== "number" || is_optional;
  return !listed_at_default && value === usual;
}

/**
 * The parts of a one-line summary.
 *
 * @param {"queue" | "sheet" | "fold"} line
 * @param {Record<string, any>} values fields of a request
 * @param {Record<string, boolean>} conditions from `conditionsOf`
 * @param {string} [group] only settings of this group of the form
 * @returns {string[]}
 */
export function summaryOf(line, values, conditions, group) {
  const names = [];
  const parts = [];
  for (const [name, setting] of Object.entries(settings)) {
    if (group && setting.group !== group) continue;
    const usual = line === "fold" && !setting.listed_at_default ? `${setting.label} {}` : null;
    const template = setting.lines[line] ?? usual;
    if (!template || !(name in values) || !applies(name, conditions)) continue;
    if (isUnderstood(setting, values[name])) continue;
    // Model names may be long, so they come last in the form's narrow summaries.
    const isName = line !== "queue" && setting.control === "model" && template === "{}";
    (isName ? names : parts).push(filled(template, name, values));
  }
  return [...parts, ...names];
}
