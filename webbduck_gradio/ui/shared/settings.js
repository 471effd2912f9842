// @ts-check
// The declarations of the settings (request/fields.py) for the page's scripts: labels, values in words, when
// a setting means something, and summaries in one line.

const facts = /** @type {any} */ (globalThis).webbduckFacts;

/** What is declared about each setting, in the form's order. @type {Record<string, any>} */
export const settings = facts?.settings ?? {};

function holds([field, operator, wanted], values) {
  const value = values[field];
  if (operator === "set" || operator === "unset") return Boolean(value) === (operator === "set");
  return (value === wanted) === (operator === "is");
}
const allHold = (tests, values) => tests.every((test) => holds(test, values));

/**
 * What the second pass of a request does: "refiner", "img2img", or null where there is none or it is unknown.
 *
 * @param {Record<string, any>} values fields of the request
 * @param {string | null | undefined} arch architecture of the second model
 * @param {any} [tables] as in request/conditions.py
 * @returns {string | null}
 */
export function secondPassKind(values, arch, tables = facts) {
  const known = { ...values, second_pass_arch: arch };
  return tables.second_pass_rules.find(([tests]) => allHold(tests, known))[1];
}

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
    Object.entries(tables.conditions).map(([name, { tests, negated }]) => [
      name,
      allHold(tests, known) !== negated,
    ]),
  );
}

/** Whether a setting means something where these conditions hold. */
export const applies = (name, conditions) => settings[name].applies.every((each) => conditions[each]);

const capitalised = (text) => text.replace(/^./, (first) => first.toUpperCase());

/** What a setting is called; a name that is none, in words. */
export const labelOf = (name) => settings[name]?.label ?? capitalised(name.replaceAll("_", " "));

const isEmpty = (value) =>
  value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);

/** A value in words, without its unit. */
export function valueText(name, value) {
  if (Array.isArray(value)) {
    return value.map((each) => (each.name ? `${each.name} ${each.weight}` : String(each))).join(", ");
  }
  if (typeof value === "number") return String(Number(value.toFixed(3)));
  return settings[name]?.choices[value] ?? String(value);
}

/** A value in words, with its unit. */
export function withUnit(name, value) {
  const unit = settings[name]?.unit;
  return unit ? `${valueText(name, value)} ${unit}` : valueText(name, value);
}

/** A share as a percentage; what is no number as it was typed. */
export const percent = (value) => (typeof value === "number" ? `${Math.round(value * 100)} %` : value || "?");

function filled(template, name, values) {
  return template.replace(/\{([^}]*)\}/g, (_, key) => {
    const field = key && key !== "%" ? key : name;
    const value = values[field];
    if (isEmpty(value)) return "?";
    return key === "%" ? percent(value) : valueText(field, value);
  });
}

/** Whether a summary can leave a setting out: it is empty, or at a default that goes without saying. */
function isUnderstood({ control, is_optional, listed_at_default, default: usual }, value) {
  if (isEmpty(value)) return control !== "number" || is_optional;
  return !listed_at_default && value === usual;
}

/**
 * The parts of a one-line summary.
 *
 * @param {"queue" | "sheet" | "fold"} line
 * @param {Record<string, any>} values fields of a request
 * @param {Record<string, boolean>} conditions as `conditionsOf` answers them
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
    // A model's name may be long: it stands last in the narrow lines of the form.
    const isName = line !== "queue" && setting.control === "model" && template === "{}";
    (isName ? names : parts).push(filled(template, name, values));
  }
  return [...parts, ...names];
}
