/** EPUB: chapters in the order of the book's spine, each as HTML. Source: EPUB 3.3, https://www.w3.org/TR/epub-33/. */
import { InputError } from "../../errors.ts";
import { damaged, members, xmlText } from "./archive.ts";
import { type Format, withText } from "./format.ts";
import { HtmlText } from "./html.ts";
import { whole } from "./whole.ts";
import { walk } from "./xml.ts";

const CONTAINER = "META-INF/container.xml";

export const readEpub: Format = withText("a book", async function* (bytes, { name }) {
  const archive = await whole(bytes, name);
  const texts = members(archive, name, (member) => member === CONTAINER || /\.opf$/i.test(member) || member === LOCKED);
  if (texts.has(LOCKED) && locks(xmlText(texts.get(LOCKED)!))) {
    throw new InputError(`${name} is locked by digital rights management: a copy without it can be read`);
  }
  const path = texts.has(CONTAINER)
    ? attributesOf(xmlText(texts.get(CONTAINER)!), "rootfile")[0]?.["full-path"]
    : undefined;
  const opf = path === undefined ? undefined : texts.get(path);
  if (!opf) throw damaged(name, `it has no ${(path ?? CONTAINER).slice(0, 80)}`);
  const chapters = spine(xmlText(opf), path!.replace(/[^/]*$/, ""));
  const pages = members(archive, name, (member) => chapters.includes(member));
  for (const chapter of chapters) {
    const page = pages.get(chapter);
    if (!page) continue;
    const html = new HtmlText();
    html.push(xmlText(page));
    yield* html.end();
    yield { text: "\n" };
  }
});

const LOCKED = "META-INF/encryption.xml";

/** Whether more than fonts is encrypted. */
const locks = (xml: string): boolean =>
  attributesOf(xml, "CipherReference").some(({ URI = "" }) => !/\.(otf|ttf|woff2?)$/i.test(URI));

/** Names of the chapters in reading order. @param folder of the package document */
function spine(opf: string, folder: string): string[] {
  const items = new Map(attributesOf(opf, "item").map(({ id, href, "media-type": type }) => [id, { href, type }]));
  return attributesOf(opf, "itemref").flatMap(({ idref }) => {
    const { href, type } = items.get(idref) ?? {};
    return href && /html/.test(type ?? "html") ? [resolved(folder + decoded(href))] : [];
  });
}

/** "a/b/../c" is "a/c". */
function resolved(path: string): string {
  const parts: string[] = [];
  for (const part of path.replace(/#.*$/, "").split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}

function decoded(href: string): string {
  try {
    return decodeURIComponent(href);
  } catch {
    return href;
  }
}

/** Attributes of all elements of a name, whatever their namespace's prefix. */
function attributesOf(xml: string, element: string): Record<string, string>[] {
  const found: Record<string, string>[] = [];
  walk(xml, {
    open(name, attributes) {
      if (name === element) found.push(attributes);
    },
  });
  return found;
}
