/** HTML as it arrives: what a reader would see, without scripts, styles and menus. Source of the elements' meaning: html.spec.whatwg.org, 15.3. */
import { Parser } from "htmlparser2";
import { type Format, type TextPiece, withText } from "./format.ts";
import { htmlEncoding } from "./html_kind.ts";
import { Prose } from "./prose.ts";

const HIDDEN = new Set(
  "script style template noscript svg object iframe canvas audio video select button nav head title".split(" "),
);
const PARAGRAPHS = new Set(
  "p div section article aside header footer main blockquote figure figcaption table dl ul ol form fieldset details summary address hr pre h1 h2 h3 h4 h5 h6"
    .split(" "),
);
const LINES = new Set("br li dt dd tr caption option legend".split(" "));

export const readHtml: Format = withText("an HTML page", async function* (bytes) {
  const html = new HtmlText();
  let decoder: TextDecoder | null = null;
  for await (const piece of bytes) {
    decoder ??= new TextDecoder(htmlEncoding(piece));
    html.push(decoder.decode(piece, { stream: true }));
    yield* html.take();
  }
  html.push(decoder?.decode() ?? "");
  yield* html.end();
});

/** Text of HTML that comes in pieces. */
export class HtmlText {
  private readonly prose = new Prose();
  private readonly parser: Parser;
  /** Open elements of which nothing is shown. */
  private hidden = 0;
  private verbatim = 0;
  /** Numbers of open lists: null for bullets. */
  private readonly lists: (number | null)[] = [];
  private cells = 0;
  private heading: string | null = null;
  private title: string | null = null;
  private isTitle = false;

  constructor() {
    this.parser = new Parser({
      onopentag: (name, attributes) => this.open(name, attributes),
      onclosetag: (name) => this.close(name),
      ontext: (text) => this.text(text),
    }, { decodeEntities: true, lowerCaseTags: true });
  }

  push(text: string): void {
    this.parser.write(text);
  }

  take(): Generator<TextPiece> {
    return this.prose.take();
  }

  end(): Generator<TextPiece> {
    this.parser.end();
    return this.prose.end();
  }

  private open(name: string, attributes: Record<string, string>): void {
    if (name === "title" && this.hidden <= 1 && this.title === null) [this.isTitle, this.title] = [true, ""];
    if (HIDDEN.has(name) || this.hidden > 0 && !EMPTY.has(name)) this.hidden++;
    if (this.hidden > 0) return;
    const { prose } = this;
    if (PARAGRAPHS.has(name)) prose.break(this.lists.length > 0 || this.cells > 0 ? 1 : 2);
    else if (LINES.has(name)) prose.break(1);
    if (/^h[1-6]$/.test(name)) {
      prose.break(2);
      this.heading = "";
      // what it says is known at its end; the words stand behind the mark all the same
      prose.mark({});
      prose.sign("#".repeat(Number(name[1])) + " ");
    } else if (name === "ul" || name === "menu") this.lists.push(null);
    else if (name === "ol") this.lists.push(Number(attributes.start ?? 1) || 1);
    else if (name === "li") {
      const depth = Math.max(0, this.lists.length - 1), at = this.lists.length - 1, number = this.lists[at];
      prose.sign("  ".repeat(Math.min(depth, 8)) + (typeof number === "number" ? `${number}. ` : "- "));
      if (typeof number === "number") this.lists[at] = number + 1;
    } else if (name === "tr") this.cells = 0;
    else if (name === "td" || name === "th") {
      if (this.cells++ > 0) prose.words(" | ");
    } else if (name === "pre") this.verbatim++;
    else if (name === "img" && attributes.alt?.trim()) prose.words(` [${attributes.alt.trim()}] `);
  }

  private close(name: string): void {
    if (this.isTitle && name === "title") {
      this.isTitle = false;
      const section = oneLine(this.title!);
      if (section) this.prose.mark({ section });
    }
    if (this.hidden > 0) {
      if (!EMPTY.has(name)) this.hidden--;
      return;
    }
    const { prose } = this;
    if (name === "li") prose.endSign();
    if (this.heading !== null && /^h[1-6]$/.test(name)) {
      const section = oneLine(this.heading);
      this.heading = null;
      if (section) prose.place({ section });
      prose.break(2);
    } else if (name === "ul" || name === "ol" || name === "menu") {
      this.lists.pop();
      prose.break(this.lists.length > 0 ? 1 : 2);
    } else if (name === "pre") {
      this.verbatim--;
      prose.break(2);
    } else if (name === "table") {
      this.cells = 0;
      prose.break(2);
    } else if (PARAGRAPHS.has(name)) prose.break(this.lists.length > 0 || this.cells > 0 ? 1 : 2);
    else if (LINES.has(name) && name !== "br") prose.break(1);
  }

  private text(text: string): void {
    if (this.isTitle) this.title += text;
    if (this.hidden > 0) return;
    if (this.heading !== null) this.heading += text;
    if (this.verbatim > 0) this.prose.verbatim(text);
    else this.prose.words(text);
  }
}

/** Elements without an end. */
const EMPTY = new Set("area base br col embed hr img input link meta source track wbr".split(" "));

/** A heading as it is named: without the signs that link to it. */
const oneLine = (text: string): string => text.replace(/[¶#§\s]+$/u, "").replace(/\s+/g, " ").trim().slice(0, 200);
