// @ts-check
// The server's state: asks for what changed at each tick of the page's timer, and publishes it on the bus.
import * as form from "../studio/form.js";
import { publish } from "./bus.js";

/** @type {((known: object) => Promise<string>) | undefined} */
let ask;
let followCatalog = () => {};
let isCatalogNew = false;
let known = {};
let studio = "";
let asking = false;
let lost = false;

/** @param {GradioView} view */
export default function start({ server, trigger }) {
  ask = server.webbduck_changes;
  followCatalog = () => trigger("catalog_changed");
  tick();
}

/** Ask once, unless an answer is still awaited. */
export async function tick() {
  if (!ask || asking) return;
  asking = true;
  try {
    take(JSON.parse(await ask(known)));
    setLost(false);
  } catch {
    setLost(true);
  } finally {
    asking = false;
  }
}

function take(found) {
  // Another start of the server: it may serve another page.
  if (studio && studio !== found.studio) location.reload();
  studio = found.studio;
  known = found.versions;
  for (const [name, value] of Object.entries(found.changed)) publish(name, value);
  if (found.changed.catalog) isCatalogNew = true;
  // Not before the form has its values: the answer would bring back those that the page was built with.
  if (isCatalogNew && form.state()) {
    isCatalogNew = false;
    followCatalog();
  }
}

function setLost(is) {
  if (is === lost) return;
  lost = is;
  publish("connection", { lost });
}
