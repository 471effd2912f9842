// @ts-check
// The page's address and the browser's history: the URL names the tab, search, picture or job that is
// shown, and Back closes what is on top. A view says what it shows with `setAddress`, and what opens over
// the page takes a place in the history with `openLayer`; dialogs do so by themselves.
import { fragmentOf, placeOf, placeOn } from "./address_text.js";
import { publish } from "./bus.js";
import { openTab, selectedTab } from "./tabs.js";

/** @typedef {{close: () => void, picture: string}} Layer `picture`: the id that the URL names, or "" */

/** What is shown below all layers. */
let ground = placeIn(history.state);
/** @type {Layer[]} what is open, from bottom to top */
const layers = [];
/** The history's entry: how many layers it stands for, and its tab. */
let entry = { depth: depthOf(history.state), tab: ground.tab };
/** Whether `history.go` was called and has not arrived. */
let isMoving = false;
/** Whether something that the address names is still to be opened, so that the history has to wait. */
let isAwaited = false;
let isPlanned = false;

function depthOf(state) {
  return Number.isInteger(state?.depth) ? state.depth : 0;
}

/** What the URL names. The search below an open picture is in the history's state only. */
function placeIn(state) {
  const place = placeOf(location.hash) ?? placeOn("studio");
  return place.picture && typeof state?.query === "string" ? { ...place, query: state.query } : place;
}

function urlOf(place) {
  return `${location.pathname}${location.search}${fragmentOf(place)}`;
}

/** The URL of a picture, for someone else or another window. */
export const linkTo = (picture) => new URL(urlOf(placeOn("gallery", { picture })), location.href).href;

/** What the URL names, for a view that starts. */
export const address = () => ground;

/** Bring the history in line with what is open, once the changes of this moment are done. */
function plan() {
  if (isPlanned) return;
  isPlanned = true;
  setTimeout(() => {
    isPlanned = false;
    write();
  });
}

function write() {
  if (isMoving || isAwaited) return;
  if (entry.depth > layers.length) {
    isMoving = true;
    history.go(layers.length - entry.depth);
    return;
  }
  const record = (isNew, depth, picture) => {
    const url = urlOf({ ...ground, picture });
    const state = { depth, query: ground.query };
    entry = { depth, tab: ground.tab };
    if (isNew) history.pushState(state, "", url);
    else if (url !== here() || depth !== depthOf(history.state)) history.replaceState(state, "", url);
  };
  if (!entry.depth && entry.tab !== ground.tab) record(true, 0, "");
  else record(false, entry.depth, pictureUpTo(entry.depth));
  while (entry.depth < layers.length) record(true, entry.depth + 1, pictureUpTo(entry.depth + 1));
}

const here = () => location.pathname + location.search + location.hash;

/** The picture that the topmost of the lowest `count` layers shows. */
const pictureUpTo = (count) => layers.slice(0, count).findLast((layer) => layer.picture)?.picture ?? "";

/**
 * Something opened over the page: Back calls `close`. Returns `closed`, to be called however it is closed,
 * and `show`, which tells the id of the picture that it shows.
 *
 * @param {() => void} close
 */
export function openLayer(close) {
  /** @type {Layer} */
  const layer = { close, picture: "" };
  layers.push(layer);
  isAwaited = false;
  plan();
  return {
    closed() {
      const at = layers.indexOf(layer);
      if (at < 0) return;
      layers.splice(at, 1);
      plan();
    },
    show(picture) {
      layer.picture = picture;
      isAwaited = false;
      plan();
    },
  };
}

/**
 * The view of the selected tab shows something else: `query` of the Gallery, `job` of the Queue.
 *
 * @param {Partial<import("./address_text.js").Place>} more
 */
export function setAddress(more) {
  ground = { ...ground, ...more };
  plan();
}

/** Show what an address names. Its tab's view subscribes to "address" for the rest. */
function visit(place) {
  ground = { ...ground, ...place, picture: "" };
  openTab(/** @type {any} */ (place.tab));
  publish("address", place);
  if (!place.picture) return;
  isAwaited = true;
  publish("show", { image: place.picture, fromAddress: true });
}

/** Nothing came of what the address named. */
export function giveUpAddress() {
  isAwaited = false;
  plan();
}

window.addEventListener("popstate", (event) => {
  const place = placeIn(event.state);
  const isOurs = Number.isInteger(event.state?.depth);
  entry = { depth: depthOf(event.state), tab: place.tab };
  if (isMoving) {
    isMoving = false;
    plan();
    return;
  }
  // A link to a picture says nothing about the search below it.
  if (!isOurs && place.picture) place.query = ground.query;
  isAwaited = false;
  while (layers.length > entry.depth) layers.pop()?.close();
  // Forward to a picture opens it again; Forward to what has no address goes back at once (`write`).
  const isReached = place.tab === selectedTab() && layers.length === entry.depth;
  if (!isOurs || !isReached || (!entry.depth && fragmentOf(place) !== fragmentOf(ground))) visit(place);
  plan();
});

/** @type {WeakMap<HTMLDialogElement, ReturnType<typeof openLayer>>} */
const dialogs = new WeakMap();

/** Close a dialog as Esc does, which it may refuse. */
function dismiss(dialog) {
  const isRefused = !dialog.dispatchEvent(new Event("cancel", { cancelable: true }));
  if (!isRefused && dialog.open) dialog.close();
  dialogs.delete(dialog);
  follow(dialog);
}

/** Give an open dialog its layer, and take it from one that was closed. */
function follow(dialog) {
  const layer = dialogs.get(dialog);
  if (dialog.open && dialog.isConnected) {
    if (!layer) {
      dialogs.set(
        dialog,
        openLayer(() => dismiss(dialog)),
      );
    }
  } else if (layer) {
    dialogs.delete(dialog);
    layer.closed();
  }
}

/** The URL names the picture that this dialog shows. */
export function showInAddress(dialog, picture) {
  follow(dialog);
  dialogs.get(dialog)?.show(picture);
}

const tabsAreThere = () =>
  new Promise((resolve) => {
    const look = () => (selectedTab() ? resolve(null) : requestAnimationFrame(look));
    look();
  });

/** Show what the URL named when the page was opened, and follow the tabs and dialogs from then on. */
export async function startAddress() {
  await tabsAreThere();
  if (placeOf(location.hash)) visit(placeIn(history.state));
  new MutationObserver((changes) => {
    for (const { target } of changes) if (target instanceof HTMLDialogElement) follow(target);
    const tab = selectedTab();
    if (!tab || tab === ground.tab) return;
    ground = { ...ground, tab };
    plan();
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["open", "aria-selected"] });
  plan();
}
