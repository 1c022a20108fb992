/**
 * Whether an answer's three cited passages have the page that it stands on: ten questions about Debian's policy manual, as a PDF, an EPUB and HTML pages (package
 * `debian-policy`), read once each with all ten questions in mind. A page is a PDF's page, a section of a book, a file of HTML. Where a fact stands is found
 * by a phrase that only that page has.
 *
 *   npm run cited -- --budget 2048 policy.pdf
 *   npm run cited -- --budget 2048 policy.html/ch-*.html
 */
import { parseArgs } from "node:util";
import { openDocuments } from "../cli/documents.ts";
import { collectGarbage, peakRssBytes } from "../cli/host.ts";
import { respond } from "../core/answer.ts";
import { read } from "../core/read.ts";
import type { RecalledPassage } from "../core/record.ts";
import { bookmark } from "../core/state/bookmark.ts";
import { openKeptMemory } from "../core/state/memory.ts";
import { readText, type Source } from "../core/text/document.ts";
import { openForBench } from "./open.ts";

const QUESTIONS: [question: string, phrase: string, right: RegExp][] = [
  ["Which user and group IDs are dynamically allocated for user accounts?", "1000-59999: Dynamically", /59999/],
  ["Which UID does the user nobody have?", "65534: User nobody", /65534/],
  ["What is the system-wide mail directory?", "The system-wide mail directory is /var/mail. This", /\/var\/mail/],
  ["How long must a source package name be at least?", "at least two characters long", /two/],
  [
    "In which directory are Cgi-bin executable files installed?",
    "Cgi-bin executable files are installed",
    /\/usr\/lib\/cgi-bin/,
  ],
  ["How should manual pages be compressed?", "Manual pages should be installed compressed", /gzip/],
  ["What are the permissions on /var/games?", "The permissions on /var/games are", /755/],
  ["Which values can the urgency of an upload have?", "taking one of the values low, medium", /emergency/],
  ["How many characters may the single line synopsis have?", "certainly under 80 characters", /80/],
  [
    "How many points does a window manager get that complies with the Window Manager Specification Project?",
    "by the Free Desktop Group, add 40 points",
    /40/,
  ],
];

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    budget: { type: "string", default: "2048" },
    policy: { type: "string", default: "question-quote" },
    threads: { type: "string", default: "2" },
    model: { type: "string" },
  },
});

/** What a passage or a piece of text stands on. */
const pageOf = (type: string, { source, page, section }: Partial<RecalledPassage>): string =>
  page !== undefined ? `page ${page}` : type === "epub" ? section ?? "" : (source ?? "").replace(/^.*\//, "");

/** Text by page, as the tool itself reads it. */
async function pagesOf(sources: Source[]): Promise<{ type: string; pages: Map<string, string> }> {
  const pages = new Map<string, string>();
  let type = "";
  for (const source of sources) {
    const document = readText(source, () => {}), place: Partial<RecalledPassage> = { source: source.name };
    for await (const { text, ...marks } of document) {
      type = document.type;
      Object.assign(place, marks);
      const page = pageOf(type, place);
      pages.set(page, (pages.get(page) ?? "") + text);
    }
  }
  return { type, pages };
}

const { type, pages } = await pagesOf(await openDocuments(positionals));
const asked = QUESTIONS.flatMap(([question, phrase, right]) => {
  const where = [...pages].filter(([, text]) => text.replace(/\s+/g, " ").includes(phrase)).map(([page]) => page);
  return where.length === 1 ? [{ question, right, page: where[0]! }] : [];
});
const model = await openForBench(flags.model, flags.policy, Number(flags.threads));
using memory = await openKeptMemory(model, {
  policy: flags.policy,
  budget: { slots: Number(flags.budget) },
  positions: "auto",
  availableBytes: 16e9,
  questions: asked.map(({ question }) => question),
});
for await (const event of read(memory, await openDocuments(positionals), { collectGarbage })) {
  if (event.type === "progress" && event.done % 51_200 === 0) console.error(`${event.done} tokens`);
}
let cited = 0, right = 0;
for (const one of asked) {
  const forget = bookmark(memory.reader);
  for await (
    const event of respond(memory, {
      command: "ask",
      instruction: one.question,
      maxTokens: 48,
      cite: true,
      peakRssBytes,
    })
  ) {
    if (event.type !== "result") continue;
    const { answer, citations = [] } = event.record, found = citations.map((passage) => pageOf(type, passage));
    const isCited = found.includes(one.page), isRight = one.right.test(answer);
    cited += Number(isCited);
    right += Number(isRight);
    console.log(
      `${isCited ? "cited" : "-----"} ${isRight ? "right" : "-----"} ${one.question} (${one.page}; cited ${
        found.join(", ")
      }): ${answer.replace(/\s+/g, " ").slice(0, 90)}`,
    );
  }
  forget();
}
const { spent } = memory;
console.log(
  `${type}: ${spent.tokens} tokens in ${
    (spent.ms / 1000).toFixed(0)
  } s, ${pages.size} pages; the page is cited for ${cited} of ${asked.length}, ${right} answers are right`,
);
await model.close();
