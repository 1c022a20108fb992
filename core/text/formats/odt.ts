/** OpenDocument texts and presentations: paragraphs, headings, lists and tables of `content.xml`. Source: OpenDocument 1.3, part 3, 5 and 9. */
import { InputError } from "../../errors.ts";
import { damaged, members, xmlText } from "./archive.ts";
import { type Format, withText } from "./format.ts";
import { Prose } from "./prose.ts";
import { whole } from "./whole.ts";
import { walk } from "./xml.ts";

export const readOdt: Format = withText("an OpenDocument file", async function* (bytes, { name }) {
  const parts = members(
    await whole(bytes, name),
    name,
    (member) => member === "content.xml" || member === "META-INF/manifest.xml",
  );
  const content = parts.get("content.xml");
  if (!content) throw damaged(name, "it has no content.xml");
  const manifest = parts.get("META-INF/manifest.xml");
  if (manifest && xmlText(manifest).includes("encryption-data")) {
    throw new InputError(`${name} is encrypted: a copy that is saved without a password can be read`);
  }
  const prose = new Prose();
  let inBody = false, hidden = 0, cells = 0, lists = 0, page = 0, heading: string | null = null;
  walk(xmlText(content), {
    open(element, attributes) {
      if (element === "body") inBody = true;
      if (!inBody) return;
      if (hidden > 0 || HIDDEN.has(element)) hidden++;
      else if (element === "page") prose.mark({ page: ++page });
      else if (element === "h") {
        prose.break(2);
        prose.mark({});
        prose.sign("#".repeat(Math.min(6, Math.max(1, Number(attributes["text:outline-level"]) || 1))) + " ");
        heading = "";
      } else if (element === "list") {
        if (lists++ === 0) prose.break(2);
      } else if (element === "list-item") {
        prose.break(1);
        prose.sign("  ".repeat(Math.min(8, Math.max(0, lists - 1))) + "- ");
      } else if (element === "p") prose.break(lists > 0 || cells > 0 ? 1 : 2);
      else if (element === "table-row") {
        prose.break(1);
        cells = 0;
      } else if (element === "table-cell") {
        if (cells++ > 0) prose.sign(" | ");
      } else if (element === "line-break") prose.break(1);
      else if (element === "s" || element === "tab") prose.words(" ");
    },
    close(element) {
      if (hidden > 0) {
        hidden--;
        return;
      }
      if (element === "h" && heading !== null) {
        const section = heading.replace(/\s+/g, " ").trim().slice(0, 200);
        if (section) prose.place({ section });
        heading = null;
        prose.break(2);
      } else if (element === "list") {
        lists--;
        prose.break(lists > 0 ? 1 : 2);
      } else if (element === "list-item") prose.endSign();
      else if (element === "table") {
        cells = 0;
        prose.break(2);
      } else if (element === "body") inBody = false;
    },
    text(piece) {
      if (!inBody || hidden > 0) return;
      if (heading !== null) heading += piece;
      prose.words(piece);
    },
  });
  yield* prose.end();
});

/** What no reader sees: what was deleted, comments, forms. */
const HIDDEN = new Set(["tracked-changes", "annotation", "forms", "scripts", "sequence-decls", "variable-decls"]);
