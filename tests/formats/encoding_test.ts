import assert from "node:assert/strict";
import { test } from "node:test";
import { readText } from "../../core/text/document.ts";

/** What a runtime's decoder says, turned round. */
function encoderOf(encoding: string): (text: string) => Uint8Array {
  const decoder = new TextDecoder(encoding, { fatal: true }), known = new Map<string, number[]>();
  const learn = (bytes: number[]) => {
    try {
      const letter = decoder.decode(Uint8Array.from(bytes));
      if ([...letter].length === 1 && !known.has(letter)) known.set(letter, bytes);
    } catch {
      // no letter
    }
  };
  for (let one = 0; one < 256; one++) learn([one]);
  for (let one = 0x81; one < 0xff; one++) for (let two = 0x40; two < 0xff; two++) learn([one, two]);
  return (text) => Uint8Array.from([...text].flatMap((letter) => known.get(letter) ?? assert.fail(`${letter}?`)));
}

const RUSSIAN =
  "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. Все смешалось в доме Облонских.";
const TEXTS: [encoding: string, text: string][] = [
  ["windows-1251", RUSSIAN],
  ["koi8-r", RUSSIAN],
  [
    "windows-1252",
    "Der Zug fährt über die Brücke, und die Mädchen grüßen: „Schöne Grüße aus Köln!“ Das Café ist geöffnet.",
  ],
  [
    "shift_jis",
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。",
  ],
  [
    "euc-jp",
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で泣いていた事だけは記憶している。",
  ],
  ["gb18030", "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。及秦灭之后，楚、汉分争，又并入于汉。"],
  ["big5", "話說天下大勢，分久必合，合久必分。周末七國分爭，併入於秦。及秦滅之後，楚、漢分爭，又併入於漢。"],
  [
    "euc-kr",
    "모든 국민은 인간으로서의 존엄과 가치를 가지며, 행복을 추구할 권리를 가진다. 국가는 개인이 가지는 불가침의 기본적 인권을 확인한다.",
  ],
];
const ASCII = "From: somebody\nSubject: a text that begins with letters that all encodings share\n\n";

async function read(bytes: Uint8Array, size = bytes.length): Promise<{ text: string; warnings: string[] }> {
  const warnings: string[] = [];
  const pieces = (async function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  })();
  let text = "";
  const document = readText({ name: "a.txt", chunks: pieces }, (message) => warnings.push(message));
  for await (const piece of document) text += piece.text;
  return { text, warnings };
}

for (const [encoding, text] of TEXTS) {
  test(`readText: ${encoding} is known by its letters, wherever pieces are cut, and said so`, async () => {
    const bytes = encoderOf(encoding)(ASCII + text);
    for (const size of [bytes.length, 1, 7]) {
      const found = await read(bytes, size);
      assert.equal(found.text, ASCII + text);
      assert.equal(found.warnings.length, 1);
      assert.match(found.warnings[0]!, /^a\.txt is not UTF-8 and read as .*, by its letters: iconv/);
    }
  });
}

test("readText: the first other letter may come late", async () => {
  const late = "All of this is ASCII, line after line.\n".repeat(2000), text = TEXTS[0]![1];
  const bytes = encoderOf("windows-1251")(late + text);
  for (const size of [bytes.length, 65_536, 999]) {
    assert.equal((await read(bytes, size)).text.slice(late.length), text);
  }
});

test("readText: UTF-8 stays UTF-8, with a wrong byte here and there, colours of a terminal, or a letter cut off", async () => {
  const utf8 = new TextEncoder().encode(RUSSIAN);
  assert.deepEqual(await read(utf8), { text: RUSSIAN, warnings: [] });
  const damaged = utf8.slice();
  damaged[40] = 0xff;
  const { text, warnings } = await read(damaged);
  assert.ok(text.startsWith(RUSSIAN.slice(0, 15)) && text.endsWith(RUSSIAN.slice(-30)), text);
  assert.match(warnings.join(), /invalid sequences? replaced/);
  const colours = "\x1b[31mred\x1b[0m and plain\n";
  assert.deepEqual(await read(new TextEncoder().encode(colours)), { text: colours, warnings: [] });
  assert.match((await read(utf8.slice(0, -1))).text, /доме Облонских$/);
  assert.match((await read(utf8.slice(0, -2))).text, /доме Облонски\ufffd?х?\ufffd?$/);
});

test("readText: Japanese mail's escapes", async () => {
  const bytes = Uint8Array.from(
    [...ASCII].map((c) => c.charCodeAt(0)).concat(
      // ESC $ B, 日本語 three times, ESC ( B
      [0x1b, 0x24, 0x42, ...Array(6).fill([0x46, 0x7c, 0x4b, 0x5c, 0x38, 0x6c]).flat(), 0x1b, 0x28, 0x42, 0x0a],
    ),
  );
  assert.equal((await read(bytes)).text, `${ASCII}${"日本語".repeat(6)}\n`);
});
