// @ts-check
// The server's state: asks for what changed at each tick of the page's timer, and publishes it on the bus.
import * as form from "../studio/form.js";
import { publish } from "./bus.js";
import { changedCatalog } from "./catalog_changes.js";
import { isLost, lose } from "./connection.js";

/** @type {((known: object) => Promise<string | undefined>) | undefined} */
let ask;
let followCatalog = () => {};
let isCatalogNew = false;
/** @type {Record<string, string>} */
let known = {};
/** @type {Record<string, any> | undefined} */
let catalog;
let studio = "";
let asking = false;

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
    const answer = await ask(known);
    if (answer !== undefined) take(JSON.parse(answer));
    else if (!isLost() && !(await canReach())) {
      lose();
      followCatalog(); // fails, so that Gradio finds out, too: until then its own buttons would half work
    }
  } finally {
    asking = false;
  }
}

function take(found) {
  // What was shown meanwhile may be out of date, and another start of the server may serve another page.
  if (isLost() || (studio && studio !== found.studio)) location.reload();
  studio = found.studio;
  known = found.versions;
  if (found.changed.catalog) {
    const whole = changedCatalog(catalog, found.changed.catalog);
    if (whole) found.changed.catalog = catalog = whole;
    else {
      delete found.changed.catalog;
      delete known.catalog; // the next answer has the whole
    }
  }
  for (const [name, value] of Object.entries(found.changed)) publish(name, value);
  if (found.changed.catalog) isCatalogNew = true;
  // Not before the form has its values: the answer would bring back those that the page was built with.
  if (isCatalogNew && form.state()) {
    isCatalogNew = false;
    followCatalog();
  }
}

/** Whether the server, and not only a proxy before it, answers at all. */
async function canReach() {
  try {
    const { status } = await fetch("gradio_api/app_id", { cache: "no-store" });
    if (status === 401) location.reload(); // the login has expired: the reload asks for the password
    return status < 502 || status > 504;
  } catch {
    return false;
  }
}
