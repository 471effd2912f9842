// @ts-check
// Addresses of pictures, relative to the page: below a proxy's prefix they are right too.

const pathOf = (id) => id.split("/").map(encodeURIComponent).join("/");

export const imageUrl = (id) => `media/image/${pathOf(id)}`;
export const thumbUrl = (id) => `media/thumb/${pathOf(id)}`;
/** A small copy of an input picture, which is a finished picture's id or an upload's. */
export const inputUrl = (id) => (id.includes("/") ? thumbUrl(id) : `media/input-thumb/${pathOf(id)}`);
export const previewUrl = (job) => `media/preview/${job.job_id}.jpg?v=${job.preview}`;
export const loraUrl = (name, version) => `media/lora/${pathOf(name)}?v=${encodeURIComponent(version)}`;
export const trashUrl = (entry, id) => `media/trash/${entry}/${pathOf(id)}`;
