import assert from "node:assert/strict";
import { test } from "node:test";
import { search } from "../../core/search/search.ts";
import { terms } from "../../core/search/terms.ts";
import { eachTime, type Source } from "../../core/text/document.ts";

/** A document that can be read again, in pieces of a few bytes. */
function document(name: string, text: string, size = 700): Source {
  const bytes = new TextEncoder().encode(text);
  return {
    name,
    repeatable: true,
    chunks: eachTime(async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
    }),
  };
}

const filler = (lines: number, word = "harbour") =>
  Array.from({ length: lines }, (_, i) => `Line ${i} tells of the ${word}, its weather and the people there.\n`).join(
    "",
  );
const find = (sources: Source[], text: string, count = 3) => search(sources, [{ text, weight: 1 }], count);

test("terms: case, marks and endings do not count, numbers do", () => {
  assert.deepEqual(terms("Compressed COMPRESSION, café Cafe 65534!"), ["compre", "compre", "cafe", "cafe", "65534"]);
});

test("terms: scripts without spaces give pairs of characters", () => {
  assert.deepEqual(terms("東京都 x 猫"), ["東京", "京都", "x", "猫"]);
});

test("search: the passage with the rare words comes first, wherever it stands", async () => {
  for (const before of [0, 50, 400]) {
    const text = filler(before) + "The keeper's parrot is called Bosco.\n" + filler(400 - before);
    const [best] = await find([document("a.txt", text)], "What is the name of the keeper's parrot?");
    assert.match(best!.text, /parrot is called Bosco/);
    assert.equal(best!.source, "a.txt");
    assert.ok(Math.abs(best!.at - before / 401) < 0.02, `at ${best!.at}, not ${before / 401}`);
  }
});

test("search: a word in every line says little, a rare one much; one that is repeated not much more than once", async () => {
  const text = filler(100) + "harbour ".repeat(30) + "\n" + filler(100) + "A walrus came.\n" + filler(100);
  const [best] = await find([document("a.txt", text)], "the harbour walrus");
  assert.match(best!.text, /walrus/);
});

test("search: passages do not overlap, and none lies across two documents", async () => {
  const a = filler(30) + "walrus ".repeat(200), b = "walrus and more walrus\n" + filler(30);
  const found = await find([document("a.txt", a), document("b.txt", b)], "walrus", 4);
  assert.equal(found.length, 4);
  assert.ok(found.some(({ source }) => source === "b.txt"));
  for (const { source, text } of found) {
    assert.ok(source === "a.txt" || !text.startsWith("walrus walrus walrus"), text);
    assert.ok(text.length < 700, `${text.length} characters`);
  }
});

test("search: a section is named where the passage's middle stands", async () => {
  const html = `<h1>One</h1><p>${filler(20)}</p><h1>Two</h1><p>${filler(3)} A walrus came. ${filler(20)}</p>`;
  const [best] = await find([document("a.html", `<!doctype html><body>${html}</body>`)], "walrus");
  assert.equal(best!.section, "Two");
});

test("search: nothing is found where no word stands, and text without spaces is no trouble", async () => {
  assert.deepEqual(await find([document("a.txt", filler(10))], "Zzyzx?!"), []);
  const found = await find([
    document("a.txt", "東京は日本の首都です。".repeat(40) + "猫は魚が好きです。" + "東京は日本の首都です。".repeat(40)),
  ], "猫は何が好きですか");
  assert.match(found[0]!.text, /猫は魚/);
});

test("search: pieces may be cut anywhere, and the same comes out", async () => {
  const text = filler(60) + "The keeper's parrot is called Bosco, é und 東京.\n" + filler(60);
  const question = "Is the parrot called Bosco?";
  const whole = await find([document("a.txt", text, 1e6)], question);
  for (const size of [1, 7, 64]) assert.deepEqual(await find([document("a.txt", text, size)], question), whole);
});

test("search: an aborted signal ends it", async () => {
  const aborted = AbortSignal.abort();
  await assert.rejects(search([document("a.txt", "some text")], [{ text: "text", weight: 1 }], 1, aborted), {
    name: "InterruptedError",
  });
});

test("search: a megabyte of blanks takes no longer than one of words", async () => {
  const started = performance.now();
  await find([document("a.txt", "a" + " ".repeat(1_000_000) + "walrus", 65_536)], "walrus");
  assert.ok(performance.now() - started < 3000);
});
