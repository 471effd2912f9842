// @ts-check
// Where a model of another program lies, shown beside its name.
import { h } from "./dom.js";
import { bareName } from "./origin_names.js";

export { bareName };

/**
 * The label of the folder; null for a model in the studio's own folders.
 *
 * @param {{origin?: string}} model
 */
export const originBadge = ({ origin }) =>
  origin ? h("span", { class: "badge origin", title: `From the folder ${origin}` }, origin) : null;

/**
 * Name and badge, for a list.
 *
 * @param {import("./origin_names.js").Named} model
 */
export const nameWithOrigin = (model) => [bareName(model), originBadge(model)];
