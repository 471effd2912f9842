// @ts-check
// Checkpoints without a VAE of their own, which draw only with one that is chosen (models/vaes.py).

/**
 * The first of the form's checkpoints that needs a VAE where none is chosen, or null.
 *
 * @param {Record<string, any>} values of the form
 * @param {any[]} checkpoints of the catalog
 * @returns {string | null}
 */
export function needsVae(values, checkpoints) {
  if (values.vae) return null;
  const used = [values.base_model, values.second_pass_model, values.hires_scale ? values.hires_model : null];
  return used.find((name) => checkpoints.find((each) => each.name === name)?.has_vae === false) ?? null;
}
