// @ts-check
// tests/rules/seeds.json verifies that this agrees with `GenerationRequest.image_seed`.

/** Index in its batch, from 0, of a picture id such as RUN/3.png. */
export const imageIndex = (id) => Number.parseInt(id.split("/").at(-1), 10);

/** Seed of the picture at `index` of a batch whose first seed is `seed`. */
export const imageSeed = (seed, index) => (seed + index) % 2 ** 32;
