import assert from "node:assert/strict";
import { test } from "node:test";
import { quoted, replaceTerm, termsOf } from "../../webbduck_gradio/ui/gallery/search_terms.js";
import { bytes, day, duration, goOnLabel, many, timeAgo } from "../../webbduck_gradio/ui/shared/format.js";
import { blockedReason } from "../../webbduck_gradio/ui/shared/lora_fit.js";
import { weighted } from "../../webbduck_gradio/ui/shared/prompt_weights.js";
import { imageUrl, inputUrl, loraUrl } from "../../webbduck_gradio/ui/shared/urls.js";

test("durations and how long ago something was", () => {
  assert.deepEqual([-3, 0, 59.4, 60, 3599, 3600, 7500].map(duration), [
    "0 s",
    "0 s",
    "59 s",
    "1 min",
    "59 min",
    "1 h 0 min",
    "2 h 5 min",
  ]);
  const now = 1_700_000_000;
  assert.equal(timeAgo(now - 90, now), "1 min ago");
  assert.equal(timeAgo(now + 5, now), "0 s ago", "a clock that is behind tells of no future");
  assert.equal(timeAgo(now - 86400, now), new Date((now - 86400) * 1000).toLocaleDateString());
});

test("sizes and counts", () => {
  assert.deepEqual([null, undefined, 0, 1023, 1024, 1536, 10240, 5 * 2 ** 30, 2 ** 50].map(bytes), [
    "",
    "",
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "10 KiB",
    "5.0 GiB",
    "1048576 GiB",
  ]);
  assert.equal(many(1, "picture"), "1 picture");
  assert.equal(many(2000, "copy", "copies"), "2,000 copies");
});

test("a job goes on from where it stopped", () => {
  const label = (count, image, step, total, status = "interrupted") =>
    goOnLabel({ status, request: { num_images: count }, continues_at: { image, step, total } });
  assert.equal(label(1, 0, 31, 50), "Go on from step 31 of 50");
  assert.equal(label(3, 1, 31, 50), "Go on from image 2, step 31 of 50");
  assert.equal(label(3, 1, 0, null), "Go on with image 2 of 3");
  assert.equal(label(3, 1, 31, 50, "suspended"), "Go on", "its row says where");
});

test("days are the local ones, also over the end of a month", () => {
  assert.equal(day(0, new Date(2025, 2, 1, 0, 30)), "2025-03-01");
  assert.equal(day(1, new Date(2025, 2, 1, 0, 30)), "2025-02-28");
});

test("a filter takes the place of the term that was there", () => {
  const owns = (term) => term.name === "model";
  const text = `"red duck" model:="old one" -hat`;
  assert.equal(replaceTerm(text, owns, `model:=${quoted("new")}`), `"red duck" -hat model:="new"`);
  assert.equal(replaceTerm(text, owns), `"red duck" -hat`);
  assert.equal(termsOf(`model:=${quoted('say "quack"')}`)[0].value, "say  quack ");
});

test("why a LoRA cannot be used", () => {
  const checkpoint = { name: "base", lora_arch: "sdxl", context: 2048 };
  const why = (lora) => blockedReason(lora, checkpoint);
  assert.equal(why({ arch: "sd1", context: 768 }), "Made for SD 1.5; base cannot use it.");
  assert.equal(why({ arch: "sdxl", context: 64 }), "Made for SDXL of another size; base cannot use it.");
  assert.equal(why({ arch: "unknown", context: 64 }), "Made for another architecture; base cannot use it.");
  assert.equal(why({ arch: "sdxl", context: 2048, reason: "It is empty." }), "It is empty.");
  assert.equal(blockedReason({ arch: "sd1", context: 768 }, undefined), null, "no checkpoint is known");
});

test("weights of words", () => {
  const apply = (text, start, end, by) => {
    const change = weighted(text, start, end, by);
    if (!change) return null;
    const after = text.slice(0, change.left) + change.written + text.slice(change.right);
    return [after, after.slice(change.from, change.to)];
  };
  assert.deepEqual(apply("a red duck", 3, 3, 0.1), ["a (red:1.1) duck", "red"]);
  assert.deepEqual(apply("a (red:1.1) duck", 4, 4, 0.1), ["a (red:1.2) duck", "red"]);
  assert.deepEqual(apply("a (red:1.1) duck", 4, 4, -0.1), ["a red duck", "red"]);
  assert.deepEqual(apply("a red duck", 1, 6, -0.1), ["a (red:0.9) duck", "red"]);
  assert.equal(apply("a , b", 2, 3, 0.1)?.[0] ?? null, "a (,:1.1) b");
  assert.equal(apply("   ", 1, 1, 0.1), null);
});

test("ids in addresses are escaped, their slashes are not", () => {
  assert.equal(imageUrl("a b/0#.png"), "media/image/a%20b/0%23.png");
  assert.equal(inputUrl("abc.png"), "media/input-thumb/abc.png");
  assert.equal(inputUrl("run/0.png"), "media/thumb/run/0.png");
  assert.equal(loraUrl("x/y&z", "g1&2"), "media/lora/x/y%26z?v=g1%262");
});
