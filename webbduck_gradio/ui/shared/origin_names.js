// @ts-check
// Names of models in the folders of other programs (models/foreign/), which begin with the folder's label.

/** @typedef {{name: string, origin?: string}} Named `origin`: the label, "" in the studio's own folders */

/**
 * The name without the label.
 *
 * @param {Named} model
 */
export const bareName = ({ name, origin }) =>
  origin && name.startsWith(`${origin}/`) ? name.slice(origin.length + 1) : name;
