// @ts-check
// Recent pictures below the chooser of the input picture, to be used without opening the gallery.
import { subscribe } from "../shared/bus.js";
import { h, put } from "../shared/dom.js";
import { thumbUrl } from "../shared/urls.js";

const MOST = 6;

/**
 * @param {object} options
 * @param {(id: string) => void} options.use makes a gallery picture the input picture
 * @param {() => boolean} options.hasInput
 */
export function recentInputs({ use, hasInput }) {
  const node = h("div", { class: "latest", role: "group", "aria-label": "Recent pictures", hidden: true });
  subscribe("jobs", (state) => {
    const ids = state.recent
      .filter((job) => ["generate", "test"].includes(job.kind))
      .flatMap((job) => job.images.toReversed())
      .slice(0, MOST);
    if (node.dataset.key === ids.join()) return;
    node.dataset.key = ids.join();
    put(
      node,
      ids.map((id) =>
        h(
          "button",
          {
            type: "button",
            title: "Use as input picture",
            "aria-label": `Use ${id} as input picture`,
            onclick: () => use(id),
          },
          h("img", {
            src: thumbUrl(id),
            alt: "",
            loading: "lazy",
            onerror: (event) => event.target.closest("button").remove(),
          }),
        ),
      ),
    );
    node.hidden = !ids.length || hasInput();
  });
  return node;
}
