// @ts-check
// Puts the catalog together from what the page has and what the server says has changed
// (`ui/catalog_changes.py`).

/**
 * @typedef {{name: string}} Entry
 * @typedef {{gone: string[], put: [number, Entry][], count: number}} Difference
 */

/**
 * The list after a change; what is a whole list already is returned. Null where they do not belong together.
 * @param {Entry[] | undefined} before
 * @param {Entry[] | Difference} change
 * @returns {Entry[] | null}
 */
export function changedList(before, change) {
  if (Array.isArray(change)) return change;
  const others = new Set([...change.gone, ...change.put.map(([, entry]) => entry.name)]);
  const left = (before ?? []).filter((entry) => !others.has(entry.name));
  if (left.length + change.put.length !== change.count) return null;
  /** @type {Entry[]} */
  const list = [];
  let next = 0;
  for (const [index, entry] of change.put) {
    while (list.length < index) list.push(left[next++]);
    list.push(entry);
  }
  return list.concat(left.slice(next));
}

/**
 * The catalog after a change of its lists; null where they do not belong together.
 * @param {Record<string, any> | undefined} before
 * @param {Record<string, any>} change
 * @returns {Record<string, any> | null}
 */
export function changedCatalog(before, change) {
  const whole = { ...change };
  for (const name of ["checkpoints", "loras", "embeddings"]) {
    const list = changedList(before?.[name], change[name]);
    if (!list) return null;
    whole[name] = list;
  }
  return whole;
}
