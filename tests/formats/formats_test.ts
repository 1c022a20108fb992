/** Documents that are no plain text: what is read of them, by what they hold and not by their names, and how damaged ones are refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, strToU8, zipSync } from "fflate";
import { InputError } from "../../core/errors.ts";
import { readText, type TextPiece } from "../../core/text/document.ts";
import { pdf } from "./pdf_file.ts";

const source = (name: string, bytes: Uint8Array, step = 1000) => ({
  name,
  chunks: (async function* () {
    for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
  })(),
});

async function read(name: string, bytes: Uint8Array, step?: number) {
  const warnings: string[] = [], pieces: TextPiece[] = [];
  const document = readText(source(name, bytes, step), (message) => warnings.push(message));
  for await (const piece of document) pieces.push(piece);
  return {
    type: document.type,
    pages: document.pages,
    text: pieces.map(({ text }) => text).join(""),
    pieces,
    warnings,
  };
}

const refused = (name: string, bytes: Uint8Array, message: RegExp) =>
  assert.rejects(read(name, bytes), (error) => {
    assert.ok(error instanceof InputError, String(error));
    assert.match(error.message, message);
    assert.ok(error.message.startsWith(name));
    return true;
  });

const HTML = `<!DOCTYPE html><html><head><title>The  book</title><style>p { color: red }</style></head><body>
<nav><a href="#">Menu</a></nav><h1>First &amp; last</h1><p>One <b>bold</b>
word.</p><script>alert("no")</script><ul><li><p>a</p></li><li>b<ol start=3><li>c</ol></ul>
<table><tr><th>Name<th>Size</tr><tr><td>x<td>1</tr></table><pre>  two
    spaces</pre><h2>Second<a href="#x">¶</a></h2><p>End&mdash;of it.<br>Line.</body></html>`;
const SEEN = `# First & last

One bold word.

- a
- b
  3. c

Name | Size
x | 1

  two
    spaces

## Second¶

End—of it.
Line.
`;

test("HTML: what a reader sees, whatever its name and however it arrives", async () => {
  for (const step of [1, 7, 5000]) {
    const { type, text, pieces } = await read("page.txt", strToU8(HTML), step);
    assert.deepEqual([type, text], ["html", SEEN]);
    assert.deepEqual(pieces.flatMap(({ section }) => section ?? []), ["First & last", "Second"]);
  }
  const latin1 = Uint8Array.from(`<html><meta charset="iso-8859-1"><p>caf\xe9</p></html>`, (c) => c.charCodeAt(0));
  assert.equal((await read("l", latin1)).text, "café\n");
  await refused("empty.html", strToU8("<!doctype html><html><script>let a</script></html>"), /HTML page without text/);
});

const epub = (files: Record<string, string>) =>
  zipSync(
    Object.fromEntries(
      Object.entries({
        mimetype: "application/epub+zip",
        "META-INF/container.xml":
          `<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>`,
        ...files,
      }).map(([name, text]) => [name, strToU8(text)]),
    ),
  );
const OPF = `<package xmlns:opf="x"><manifest><item id="b" href="b%20c.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="../a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="b"/><itemref idref="a"/></spine></package>`;

test("EPUB: chapters in the spine's order, with their headings", async () => {
  const book = epub({
    "OEBPS/book.opf": OPF,
    "a.xhtml": "<html><head><title>t</title></head><body><h1>Two</h1><p>second</p></body></html>",
    "OEBPS/b c.xhtml": "<html><body><h1>One</h1><p>first</p></body></html>",
  });
  const { type, text, pieces } = await read("book.zip", book);
  assert.deepEqual([type, text.replace(/\n+/g, "|")], ["epub", "# One|first|# Two|second|"]);
  assert.deepEqual(pieces.flatMap(({ section }) => section ?? []), ["One", "Two"]);
  await refused("none.epub", epub({}), /damaged \(it has no OEBPS\/book\.opf\)/);
  await refused("cut.epub", book.subarray(0, book.length - 30), /is damaged/);
  const locked = epub({ "META-INF/encryption.xml": `<e><CipherReference URI="OEBPS/a.xhtml"/></e>` });
  await refused("locked.epub", locked, /digital rights management/);
});

test("DOCX: headings are sections, pictures are left out", async () => {
  const w = (text: string, style = "") =>
    `<w:p>${style && `<w:pPr><w:pStyle w:val="${style}"/></w:pPr>`}<w:r><w:t>${text}</w:t></w:r></w:p>`;
  const xmlns = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"`;
  const files = {
    "[Content_Types].xml":
      `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`,
    "_rels/.rels":
      `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`,
    "word/styles.xml":
      `<w:styles ${xmlns}><w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style></w:styles>`,
    "word/_rels/document.xml.rels":
      `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="s1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>`,
    "word/document.xml": `<w:document ${xmlns}><w:body>${w("Terms", "Heading1")}${
      w("Either party may terminate.")
    }</w:body></w:document>`,
    "word/media/image1.png": "x".repeat(5000),
  };
  const docx = zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, strToU8(text)])));
  const { type, text, pieces } = await read("contract", docx);
  assert.deepEqual([type, text], ["docx", "# Terms\n\nEither party may terminate.\n"]);
  assert.equal(pieces.find(({ section }) => section)?.section, "Terms");
  const { "word/document.xml": _, ...others } = files;
  const without = zipSync(Object.fromEntries(Object.entries(others).map(([name, text]) => [name, strToU8(text)])));
  await refused("no.docx", without, /damaged \(it has no word\/document\.xml\)/);
});

test("PPTX: slides are pages in their order, with their notes", async () => {
  const slide = (...lines: string[]) =>
    `<p:sld xmlns:a="a">${lines.map((line) => `<a:p><a:r><a:t>${line}</a:t></a:r></a:p>`).join("")}</p:sld>`;
  const files: Record<string, string> = {
    "ppt/notesSlides/notesSlide2.xml": slide("Say this", "2"),
    "ppt/media/x.png": "no",
  };
  for (let i = 1; i <= 10; i++) files[`ppt/slides/slide${i}.xml`] = slide(`Title ${i}`, "a &amp; b");
  const deck = zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, strToU8(text)])));
  const { type, pages, pieces } = await read("deck", deck);
  assert.deepEqual([type, pages, pieces[9]!.page, pieces[9]!.section], ["pptx", 10, 10, "Title 10"]);
  assert.equal(pieces[1]!.text, "Title 2\na & b\n\nNotes:\nSay this\n\n");
});

test("ODT: paragraphs, headings, lists and tables, without what was deleted", async () => {
  const content =
    `<office:document-content><office:body><office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes>
<text:h text:outline-level="2">A heading</text:h><text:p>One<text:s/>two <text:span>three</text:span></text:p><text:list><text:list-item><text:p>item</text:p>
</text:list-item></text:list><table:table><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell><table:table-cell><text:p>y</text:p>
</table:table-cell></table:table-row></table:table></office:text></office:body></office:document-content>`;
  const odt = zipSync({
    mimetype: [strToU8("application/vnd.oasis.opendocument.text"), { level: 0 }],
    "content.xml": strToU8(content),
  });
  const { type, text, pieces } = await read("a", odt);
  assert.deepEqual([type, text], ["odt", "## A heading\n\nOne two three\n\n- item\n\nx | y\n"]);
  assert.equal(pieces[0]!.section, "A heading");
});

test("mail: who, when and about what, the text, and what is attached", async () => {
  const mail = [
    "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>",
    "To: Ann <ann@example.org>, bob@example.org",
    "Subject: The cranes",
    "Message-ID: <1@example.org>",
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="x"',
    "",
    "--x",
    "Content-Type: text/html; charset=utf-8",
    "Content-Transfer-Encoding: base64",
    "",
    btoa("<p>Two <b>cranes</b>.</p>"),
    "--x",
    'Content-Type: application/pdf; name="plan.pdf"',
    'Content-Disposition: attachment; filename="plan.pdf"',
    "",
    "%PDF",
    "--x--",
    "",
  ].join("\r\n");
  const { type, text, pieces } = await read("message.txt", strToU8(mail));
  assert.equal(type, "mail");
  assert.equal(pieces[0]!.section, "The cranes");
  assert.match(
    text,
    /^From: Jürgen <j@example\.org>\nTo: Ann <ann@example\.org>, bob@example\.org\nSubject: The cranes\n\n/,
  );
  assert.match(text, /Two cranes\./);
  assert.match(text, /Attached: plan\.pdf\n$/);
  assert.equal((await read("notes.txt", strToU8("From: here\nto there, and back.\n"))).type, "text");
});

test("PDF: pages are marked, a line's end joins words, running headers go, and what has no text is scanned", async () => {
  const pages = [0, 1, 2].map((page) => [
    `A running header ${page + 1}`,
    "",
    "",
    `Page ${page + 1} has some text that is hyphen-`,
    "ated at the end of a line.",
    "",
    "",
    `Another paragraph, ${"xyz"[page]}.`,
  ]);
  const file = pdf(pages);
  const { type, pages: count, pieces } = await read("a.txt", file);
  assert.deepEqual([type, count], ["pdf", 3]);
  assert.deepEqual(pieces.map(({ page }) => page), [1, 2, 3]);
  assert.equal(
    pieces[1]!.text,
    "Page 2 has some text that is hyphenated at the end of a line.\n\nAnother paragraph, y.\n\n",
  );
  assert.match(pieces[0]!.text, /^A running header 1\n\nPage 1/);
  await refused("scan.pdf", pdf([[], []]), /has 2 pages and no text, so it is scanned or drawn: ocrmypdf/);
  await refused("cut.pdf", file.subarray(0, 40), /is a damaged PDF/);
  await refused("tail.pdf", file.subarray(0, file.length - 60), /is a damaged PDF/);
});

test("gzip: unpacked whatever is in it, and refused where it ends early", async () => {
  assert.deepEqual((await read("page.html.gz", gzipSync(strToU8(HTML)), 3)).text, SEEN);
  assert.equal((await read("notes.md.gz", gzipSync(strToU8("# Notes\n")))).type, "markdown");
  const long = gzipSync(strToU8("all of this. ".repeat(20_000)));
  assert.equal((await read("two", Uint8Array.of(...long, ...long))).text.length, 2 * 13 * 20_000);
  await refused("cut.gz", long.subarray(0, long.length - 100), /damaged gzip archive/);
});
