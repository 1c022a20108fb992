/** DOCX, by mammoth: it knows which style is a heading and what is a list. Pictures, macros and everything else that is no text are left out before. */
import { zipSync } from "fflate";
import { damaged, members } from "./archive.ts";
import { type Format, withText } from "./format.ts";
import { HtmlText } from "./html.ts";
import { whole } from "./whole.ts";

export const readDocx: Format = withText("a Word document", async function* (bytes, { name }) {
  const parts = members(await whole(bytes, name), name, (member) => /\.(xml|rels)$/i.test(member));
  if (!parts.has("word/document.xml")) throw damaged(name, "it has no word/document.xml");
  // packed again without what was left out, and without compression: what mammoth unpacks is as large as it looks
  const buffer = zipSync(Object.fromEntries(parts), { level: 0 });
  const value = await withProto(async () => {
    const { default: mammoth } = await import("mammoth");
    // its build for browsers reads the one, its build for others the other
    const input = { buffer, arrayBuffer: buffer.buffer };
    const converted = await mammoth.convertToHtml(input as never, {
      convertImage: mammoth.images.imgElement(() => Promise.resolve({ src: "" })),
    });
    return converted.value;
  }).catch((error: Error) => {
    // what its parser says is not for readers
    throw damaged(name, "what is in it is no Word document, or not well formed", error);
  });
  const html = new HtmlText();
  html.push(value);
  yield* html.end();
});

/** mammoth's promises set `__proto__` when they are loaded, which Deno leaves out: it is there for the while. */
async function withProto<T>(work: () => Promise<T>): Promise<T> {
  const before = Object.getOwnPropertyDescriptor(Object.prototype, "__proto__");
  Object.defineProperty(Object.prototype, "__proto__", {
    configurable: true,
    get() {
      return Object.getPrototypeOf(this);
    },
    set(prototype) {
      Object.setPrototypeOf(this, prototype);
    },
  });
  try {
    return await work();
  } finally {
    if (before) Object.defineProperty(Object.prototype, "__proto__", before);
    else delete (Object.prototype as { __proto__?: unknown }).__proto__;
  }
}
