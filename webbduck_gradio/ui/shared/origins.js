// @ts-check
// Models in the folders of other programs (models/foreign/): their names begin with the folder's label, which
// the page shows beside the name.
import { h } from "./dom.js";

/** @typedef {{name: string, origin?: string}} Named `origin`: the label, "" in the studio's own folders */

/**
 * The name without the label.
 *
 * @param {Named} model
 */
export const bareName = ({ name, origin }) =>
  origin && name.startsWith(`${origin}/`) ? name.slice(origin.length + 1) : name;

/**
 * The label; null for a model in the studio's own folders.
 *
 * @param {{origin?: string}} model
 */
export const originBadge = ({ origin }) =>
  origin ? h("span", { class: "badge origin", title: `From the folder ${origin}` }, origin) : null;

/**
 * Name and badge, for a list.
 *
 * @param {Named} model
 */
export const nameWithOrigin = (model) => [bareName(model), originBadge(model)];
