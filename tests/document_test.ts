import assert from "node:assert/strict";
import { test } from "node:test";
import { readText } from "../core/text/document.ts";
import { isMarkdown } from "../core/text/formats/all.ts";
import { InputError } from "../core/errors.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

async function read(name: string, pieces: Uint8Array[]) {
  const warnings: string[] = [];
  const chunks = (async function* () {
    yield* pieces;
  })();
  const document = readText({ name, chunks }, (message) => warnings.push(message));
  let text = "";
  for await (const piece of document) text += piece.text;
  return { text, warnings, bytes: document.bytes, type: document.type };
}

const bytewise = (bytes: Uint8Array) => Array.from(bytes, (byte) => Uint8Array.of(byte));

function utf16(text: string, littleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 * text.length));
  for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), littleEndian);
  return new Uint8Array(view.buffer);
}

const refused = (name: string, pieces: Uint8Array[], message: RegExp) =>
  assert.rejects(read(name, pieces), (error) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, message);
    assert.ok(error.message.startsWith(name), error.message);
    return true;
  });

test("readText: characters split over pieces, line ends and counted bytes", async () => {
  const text = "Ünï 日本 🙂\r\nline\rline\n";
  const { text: got, bytes, type, warnings } = await read("a.txt", bytewise(utf8(text)));
  assert.equal(got, text);
  assert.deepEqual([bytes, type, warnings], [utf8(text).length, "text", []]);
  const long = text.repeat(2000);
  assert.equal((await read("a.txt", [utf8(long).slice(0, 10_001), utf8(long).slice(10_001)])).text, long);
});

test("readText: byte order marks are taken off, UTF-16 is decoded", async () => {
  const text = "Ünï 日本 🙂\n";
  for (const split of [bytewise, (bytes: Uint8Array) => [bytes]]) {
    assert.equal((await read("a", split(utf8("\ufeff" + text)))).text, text);
    assert.equal((await read("a", split(utf16("\ufeff" + text, true)))).text, text);
    assert.equal((await read("a", split(utf16("\ufeff" + text, false)))).text, text);
  }
});

test("readText: invalid bytes become U+FFFD and are counted once, the document's own U+FFFD are not", async () => {
  const bytes = Uint8Array.of(...utf8("a\ufffdb"), 0xff, ...utf8("c"), 0xe6, 0x97, ...utf8("d\ufffd"), 0xef, 0xbf);
  for (const pieces of [bytewise(bytes), [bytes]]) {
    const { text, warnings } = await read("a.txt", pieces);
    assert.equal(text, new TextDecoder().decode(bytes));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /^a\.txt: 3 invalid sequences replaced by U\+FFFD/);
  }
  assert.deepEqual((await read("a.txt", [utf8("fine \ufffd")])).warnings, []);
});

test("readText: an empty or blank document is an InputError", async () => {
  await refused("e.txt", [], /is empty/);
  await refused("e.txt", [new Uint8Array(0)], /is empty/);
  await refused("e.txt", [utf8(" \n\t"), utf8("\r\n\u3000")], /only white space/);
  await refused("e.txt", [utf8("\ufeff")], /only white space/);
});

const FILES: [string, Uint8Array, RegExp][] = [
  ["report.pdf", latin1("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj"), /is a damaged PDF/],
  ["a.docx", latin1("PK\x03\x04\x14\0\x06\0 [Content_Types].xml"), /is damaged/],
  ["b", latin1("PK\x03\x04\x14\0\0\0 xl/workbook.xml"), /Excel/],
  ["c.zip", latin1("PK\x03\x04\x14\0\0\0 notes.txt"), /is a ZIP archive;.*unzip -p c\.zip/],
  ["d.gz", latin1("\x1f\x8b\x08\0\0\0"), /is a damaged gzip archive/],
  ["e", latin1("\x7fELF\x02\x01\x01\0"), /ELF program/],
  ["f.png", latin1("\x89PNG\r\n\x1a\n\0\0"), /PNG image/],
  ["g.rtf", latin1("{\\rtf1\\ansi Hello}"), /RTF/],
  ["h.tar", latin1("notes.txt" + "\0".repeat(248) + "ustar\0"), /tar archive/],
  ["i.bin", latin1("text\0text"), /NUL bytes/],
  ["j.bin", Uint8Array.from({ length: 400 }, (_, i) => i * 37 % 255 + 1), /control characters/],
  ["k.gguf", latin1("GGUF\x03\0\0\0"), /GGUF model/],
  ["l.txt", utf16("UTF-16 without a mark", true), /NUL bytes.*iconv/],
];

for (const [name, bytes, message] of FILES) {
  test(`readText: ${name} is refused by its content: ${message.source}`, () => refused(name, bytewise(bytes), message));
}

test("readText: NUL bytes far behind the beginning are refused too", async () => {
  await refused("late.txt", [utf8("text ".repeat(5000)), latin1("\0")], /NUL bytes/);
  await refused("late.txt", [Uint8Array.of(...utf8("text ".repeat(5000)), 0)], /NUL bytes/);
});

test("readText: text that looks a little like something else is text", async () => {
  for (
    const text of ["BZh is how bzip2 files begin", "ID3 tags", "GGUF is a format", "MM and II", "\x1b[31mred\x1b[0m"]
  ) {
    assert.equal((await read("a.txt", [utf8(text)])).text, text);
  }
});

test("readText: stops the source when the reader stops", async () => {
  let closed = false;
  const chunks = (async function* () {
    try {
      while (true) yield utf8("text ".repeat(4000));
    } finally {
      closed = true;
    }
  })();
  for await (const _ of readText({ name: "a", chunks }, () => {})) break;
  assert.ok(closed);
});

test("readText: a source may use its buffer again", async () => {
  const chunks = (async function* () {
    const buffer = new Uint8Array(4);
    for (const word of ["one ", "two ", "six "]) {
      buffer.set(utf8(word));
      yield buffer;
    }
  })();
  let text = "";
  for await (const piece of readText({ name: "a", chunks }, () => {})) text += piece.text;
  assert.equal(text, "one two six ");
});

test("isMarkdown: by extension", () => {
  assert.deepEqual(["a.md", "B.MARKDOWN", "a.txt", "md"].map(isMarkdown), [true, true, false, false]);
});
