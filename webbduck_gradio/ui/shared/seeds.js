// @ts-check
// tests/rules/seeds.json verifies that this agrees with `GenerationRequest.seed_of`.

/** Index in its batch, from 0, of a picture id such as RUN/3.png. */
export const imageIndex = (id) => Number.parseInt(id.split("/").at(-1), 10);

/** Seed of the picture at `index` of a request's batch; with a variation it is the same for all. */
export const imageSeed = ({ seed, variation_strength }, index) =>
  variation_strength ? seed : (seed + index) % 2 ** 32;
