/** PPTX: the text of every slide, in their order by number, and what its notes say. A slide is a page. Source: ECMA-376, part 1, 13. */
import { InputError } from "../../errors.ts";
import { damaged, members, xmlText } from "./archive.ts";
import type { Format } from "./format.ts";
import { whole } from "./whole.ts";
import { walk } from "./xml.ts";

export const readPptx: Format = async function* (bytes, { name }) {
  const slide = /^ppt\/slides\/slide(\d+)\.xml$/, notes = (n: number) => `ppt/notesSlides/notesSlide${n}.xml`;
  const parts = members(
    await whole(bytes, name),
    name,
    (member) => slide.test(member) || /^ppt\/notesSlides\/notesSlide\d+\.xml$/.test(member),
  );
  const numbers = [...parts.keys()].flatMap((member) => slide.exec(member)?.[1] ?? []).map(Number).sort((a, b) =>
    a - b
  );
  if (numbers.length === 0) throw damaged(name, "it has no ppt/slides");
  let blank = true;
  for (const [i, number] of numbers.entries()) {
    const said = paragraphsOf(xmlText(parts.get(`ppt/slides/slide${number}.xml`)!));
    const noted = parts.has(notes(number))
      ? paragraphsOf(xmlText(parts.get(notes(number))!)).filter((line) => !/^\d+$/.test(line))
      : [];
    const text = [...said, ...noted.length > 0 ? ["", "Notes:", ...noted] : []].join("\n");
    blank &&= text.trim() === "";
    const section = said[0]?.slice(0, 200);
    yield { text: text === "" ? "" : `${text}\n\n`, page: i + 1, ...section ? { section } : {} };
  }
  if (blank) throw new InputError(`${name} has ${numbers.length} slides and no text: a document needs some`);
};

/** Paragraphs of a slide, of tables too. */
function paragraphsOf(xml: string): string[] {
  const lines: string[] = [];
  let line = "", isText = false;
  walk(xml, {
    open(name) {
      if (name === "t") isText = true;
      else if (name === "br") line += " ";
    },
    close(name) {
      if (name === "t") isText = false;
      if (name !== "p") return;
      if (line.trim() !== "") lines.push(line.trim());
      line = "";
    },
    text(piece) {
      if (isText) line += piece;
    },
  });
  return lines;
}
