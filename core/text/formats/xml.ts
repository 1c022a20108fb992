/** XML of office formats, walked element by element. Entities that a document declares are never expanded. */
import { Parser } from "htmlparser2";

export interface XmlVisitor {
  /** @param name without its namespace's prefix */
  open?(name: string, attributes: Record<string, string>): void;
  close?(name: string): void;
  text?(text: string): void;
}

const local = (name: string) => name.replace(/^.*:/, "");

export function walk(xml: string, { open, close, text }: XmlVisitor): void {
  const parser = new Parser({
    onopentag: (name, attributes) => open?.(local(name), attributes),
    onclosetag: (name) => close?.(local(name)),
    ontext: (piece) => text?.(piece),
  }, { xmlMode: true, decodeEntities: true });
  parser.end(xml);
}
