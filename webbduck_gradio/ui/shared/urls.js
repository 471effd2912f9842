// @ts-check
// URLs of pictures, relative to the page, so that they work behind a proxy's path prefix.

const pathOf = (id) => id.split("/").map(encodeURIComponent).join("/");

export const imageUrl = (id) => `media/image/${pathOf(id)}`;
export const thumbUrl = (id) => `media/thumb/${pathOf(id)}`;
/** Thumbnail of an input picture, given by the id of a gallery picture or of an upload. */
export const inputUrl = (id) => (id.includes("/") ? thumbUrl(id) : `media/input-thumb/${pathOf(id)}`);
/** An input picture or a mask itself. */
export const inputFileUrl = (id) => `media/input/${pathOf(id)}`;
export const previewUrl = (job) => `media/preview/${job.job_id}.jpg?v=${job.preview}`;
export const loraUrl = (name, version) => `media/lora/${pathOf(name)}?v=${encodeURIComponent(version)}`;
export const embeddingUrl = (name, version) =>
  `media/embedding/${pathOf(name)}?v=${encodeURIComponent(version)}`;
/** All tags that are completed, as models/tags.py writes them. */
export const tagsUrl = (version) => `tags/${version}`;
export const trashUrl = (entry, id) => `media/trash/${entry}/${pathOf(id)}`;
