// @ts-check
// Loads the thumbnails of the cells in view.

const THUMBS_AT_ONCE = 4;

/** Returns a function to be called whenever cells were drawn or scrolled. */
export function makeThumbLoader(scroller, canvas) {
  let lastTop = 0;
  let lastLoad = 0;
  let waiting = null;
  /** Load thumbnails only of cells that stay in view, not of those scrolled past. */
  function loadThumbs() {
    clearTimeout(waiting);
    const distance = Math.abs(scroller.scrollTop - lastTop);
    const now = performance.now();
    if (distance > scroller.clientHeight * 1.5 && now - lastLoad < 400) {
      waiting = setTimeout(loadThumbs, 120);
      lastTop = scroller.scrollTop;
      return;
    }
    lastTop = scroller.scrollTop;
    lastLoad = now;
    loadNext();
  }

  const loading = new Set();
  /**
   * A few at a time, those in view first, so that other requests of the page need not wait for all of them.
   */
  function loadNext() {
    for (const image of loading) {
      if (!image.isConnected) {
        image.removeAttribute("src");
        loading.delete(image);
      }
    }
    if (loading.size >= THUMBS_AT_ONCE) return;
    const middle = scroller.getBoundingClientRect().top + scroller.clientHeight / 2;
    const far = (image) => {
      const box = image.parentNode.getBoundingClientRect();
      return Math.abs((box.top + box.bottom) / 2 - middle);
    };
    const waiting = [...canvas.querySelectorAll("img[data-src]")]
      .map((image) => [far(image), image])
      .sort(([one], [other]) => one - other);
    for (const [, image] of waiting.slice(0, THUMBS_AT_ONCE - loading.size)) {
      loading.add(image);
      const done = () => {
        loading.delete(image);
        loadNext();
      };
      image.addEventListener("load", done, { once: true });
      image.addEventListener("error", done, { once: true });
      image.src = image.dataset.src;
      delete image.dataset.src;
    }
  }
  return loadThumbs;
}
