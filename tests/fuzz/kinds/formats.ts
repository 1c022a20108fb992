/** Documents that are converted: HTML, PDF, EPUB, DOCX and gzip, whole ones with changes that know the format, and changed bytes of any. */
import { gunzipSync, gzipSync, strToU8, zipSync } from "fflate";
import { pdf } from "../../formats/pdf_file.ts";
import { type Kind, Wrong } from "../kind.ts";
import { mutatedBytes, mutatedText } from "../mutate.ts";
import type { Random } from "../random.ts";
import { readDocument, TEXTS } from "../use.ts";

const HTML =
  `<!DOCTYPE html><html><head><title>A title</title><style>p{}</style></head><body><nav>menu</nav><h1>One &amp; two</h1>
<p>Some <b>bold</b> words.<ul><li><p>a</p><li>b<ol start=3><li>c</ol></ul><table><tr><th>N<td>S</table><pre> x
 y</pre><script>let a</script><h2>Three</h2>&#x41;&eacute;&bogus;<br></body></html>`;
const CONTAINER = `<container><rootfiles><rootfile full-path="b.opf"/></rootfiles></container>`;
const OPF =
  `<package><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>`;
const W = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"`;
const DOCX = {
  "[Content_Types].xml":
    `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`,
  "_rels/.rels":
    `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`,
  "word/document.xml":
    `<w:document ${W}><w:body><w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Terms</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>`,
};

const SLIDE = `<p:sld><a:p><a:r><a:t>A title</a:t></a:r></a:p><a:tbl><a:p><a:t>x</a:t><a:br/></a:p></a:tbl></p:sld>`;
const ODT =
  `<o><office:body><text:h text:outline-level="2">A</text:h><text:list><text:list-item><text:p>x<text:s/></text:p></text:list-item></text:list><table:table-row><table:table-cell><text:p>y</text:p></table:table-cell></table:table-row></office:body></o>`;
const MAIL =
  `From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: a@b\r\nSubject: S\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n
--x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+VHdvPC9wPg==\r\n--x\r\nContent-Disposition: attachment; filename="p"\r\n\r\nz\r\n--x--\r\n`;

export const formats: Kind = {
  name: "formats",
  share: 10,
  codes: [3],
  prepare: () =>
    Promise.resolve(async (random) => {
      const bytes = someBytes(random), whole = await readDocument(bytes, bytes.length + 1);
      if (random.chance(0.2)) {
        const inPieces = await readDocument(bytes, 1 + random.below(random.pick([3, 200, 9000])));
        if (whole.text !== inPieces.text && !(whole.refusal && inPieces.refusal)) {
          throw new Wrong(
            `a document in pieces reads otherwise than in one: ${firstDifference(whole.text, inPieces.text)}`,
          );
        }
      }
      if (whole.refusal) throw whole.refusal;
      if (whole.text.length > 200 * (unpackedSize(bytes) + 1000)) {
        throw new Wrong(`${bytes.length} bytes became ${whole.text.length} characters`);
      }
      return true;
    }),
};

/** An archive whose members were changed, before or after they were packed. */
function archive(random: Random, members: Record<string, string>): Uint8Array {
  const changed = Object.entries(members).map(([name, text]) => [
    random.chance(0.05) ? mutatedText(random, name).slice(0, 60) : name,
    strToU8(random.chance(0.5) ? mutatedText(random, text) : text),
  ]);
  return zipSync(Object.fromEntries(changed), { level: random.pick([0, 6]) });
}

function someBytes(random: Random): Uint8Array {
  const text = random.pick(TEXTS), page = [text.slice(0, 80), "", "Words of a page-", "break."];
  const bytes = random.pick([
    () => strToU8(mutatedText(random, HTML)),
    () => strToU8(`<html>${"<div><ul><li>".repeat(random.pick([1, 50, 3000]))}${text}`),
    () => pdf([page, random.chance(0.2) ? [] : page]),
    () => strToU8(mutatedText(random, new TextDecoder().decode(pdf([page])))),
    () =>
      archive(random, {
        mimetype: "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "b.opf": OPF,
        "a.xhtml": HTML,
      }),
    () => archive(random, DOCX),
    () => archive(random, { "ppt/slides/slide1.xml": SLIDE, "ppt/slides/slide2.xml": SLIDE }),
    () => archive(random, { mimetype: "application/vnd.oasis.opendocument.text", "content.xml": ODT }),
    () => strToU8(mutatedText(random, MAIL)),
    () => gzipSync(strToU8(text.repeat(random.pick([1, 400])))),
  ])();
  return random.chance(0.4) ? mutatedBytes(random, bytes) : bytes;
}

function unpackedSize(bytes: Uint8Array): number {
  try {
    return bytes[0] === 0x1f ? gunzipSync(bytes).length : bytes.length;
  } catch {
    return bytes.length;
  }
}

function firstDifference(a: string, b: string): string {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  const near = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 30), at + 30));
  return `${near(a)} and ${near(b)}`;
}
