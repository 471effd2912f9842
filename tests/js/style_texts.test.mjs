import assert from "node:assert/strict";
import { test } from "node:test";
import { applied, merged, search, stateOf } from "../../webbduck_gradio/ui/studio/style_texts.js";

test("texts are put around a prompt as the server does", () => {
  assert.equal(merged("masterpiece", " a duck "), "a duck, masterpiece");
  assert.equal(merged("", "a duck"), "a duck");
  assert.equal(merged("{prompt} and {prompt}", "$& duck"), "$& duck and $& duck");
  const styles = [
    { prompt: "one {prompt}", negative_prompt: "" },
    { prompt: "two", negative_prompt: "fog" },
  ];
  assert.deepEqual(applied(styles, { prompt: "a duck", negative_prompt: "" }), {
    prompt: "one a duck, two",
    negative_prompt: "fog",
  });
});

const FILM = { name: "Film", group: "Photo", prompt: "still", negative_prompt: "blur" };
const STILL = { name: "Still", group: "", prompt: "quiet", negative_prompt: "" };

test("names come first among what is found", () => {
  assert.deepEqual(search([FILM, STILL], "still"), [STILL, FILM]);
  assert.deepEqual(search([FILM, STILL], "photo blur"), [FILM]);
  assert.deepEqual(search([FILM, STILL], " "), [FILM, STILL]);
});

test("a chosen style is compared with the one of that name", () => {
  assert.equal(stateOf({ name: "Film" }, FILM), "");
  assert.equal(stateOf({ name: "Film" }, undefined), "missing");
  assert.equal(stateOf({ name: "Film", prompt: "still", negative_prompt: "blur" }, FILM), "");
  assert.equal(stateOf({ name: "Film", prompt: "still" }, FILM), "changed");
  assert.equal(stateOf({ name: "Film", prompt: "still" }, undefined), "gone");
});
