import assert from "node:assert/strict";
import { test } from "node:test";
import { fragmentOf, placeOf, placeOn } from "../../webbduck_gradio/ui/shared/address_text.js";

test("a place and its fragment name each other", () => {
  for (const [fragment, place] of [
    ["#gallery", placeOn("gallery")],
    [
      "#gallery?q=red%20duck%20-hat%20%26%20%22pond%22",
      placeOn("gallery", { query: 'red duck -hat & "pond"' }),
    ],
    ["#picture=2026-01-02_03-04-05/0.png", placeOn("gallery", { picture: "2026-01-02_03-04-05/0.png" })],
    ["#picture=a%20b/%23%3F%25.png", placeOn("gallery", { picture: "a b/#?%.png" })],
    ["#queue", placeOn("queue")],
    ["#queue?job=0123456789abcdef", placeOn("queue", { job: "0123456789abcdef" })],
    ["#loras", placeOn("loras")],
  ]) {
    assert.equal(fragmentOf(place), fragment);
    assert.deepEqual(placeOf(fragment), place);
  }
  assert.equal(fragmentOf(placeOn("studio", { query: "left in the Gallery" })), "");
  assert.deepEqual(placeOf("#studio"), placeOn("studio"));
});

test("what is no tab, picture or job names nothing", () => {
  for (const fragment of [
    "",
    "#",
    "#elsewhere",
    "#<img src=x onerror=alert(1)>",
    "#picture=",
    "#picture=run/0",
    "#picture=../../etc/passwd.png",
    "#picture=run/../0.png",
    "#picture=/run/0.png",
    "#picture=run//0.png",
    "#picture=.webbduck/trash/0.png",
    "#picture=run\\0.png",
    "#picture=run/%00.png",
    "#picture=%E0%A4%A.png",
    `#picture=${"a".repeat(2000)}.png`,
  ]) {
    assert.equal(placeOf(fragment), null, fragment);
  }
  assert.deepEqual(placeOf("#queue?job=../x"), placeOn("queue"));
  assert.deepEqual(placeOf("#queue?q=duck"), placeOn("queue"));
  assert.equal(placeOf(`#gallery?q=${"a".repeat(2000)}`)?.query.length, 1024);
});
