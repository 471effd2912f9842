// @ts-check
// tests/rules/seeds.json holds this and `GenerationRequest.image_seed` together.

/** Place in its batch of the picture RUN/3.png, from 0. */
export const imageIndex = (id) => Number.parseInt(id.split("/").at(-1), 10);

/** The seed of a picture of a batch that began with `seed`. */
export const imageSeed = (seed, index) => (seed + index) % 2 ** 32;
