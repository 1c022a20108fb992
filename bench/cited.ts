/**
 * Whether an answer's three cited passages have the page that it stands on: ten questions about Debian's policy manual (package `debian-policy`) or its
 * developer's reference (`developers-reference`), as a PDF, an EPUB or HTML. A page is a PDF's page, or a section. Where a fact stands is found
 * by a phrase that only that page has; the book's own questions are those most of whose phrases it has.
 * The documents are read once, with all questions in mind; each is then answered from memory, and again with the passages looked up (`stream+verify`).
 *
 *   npm run cited -- --budget 2048 policy.pdf
 *   npm run cited -- policy.html/ch-*.html
 */
import { parseArgs } from "node:util";
import { openDocuments } from "../cli/documents.ts";
import { collectGarbage, peakRssBytes } from "../cli/host.ts";
import { respond } from "../core/respond.ts";
import { read } from "../core/read.ts";
import type { RecalledPassage } from "../core/record.ts";
import { bookmark } from "../core/state/bookmark.ts";
import { openKeptMemory } from "../core/state/memory.ts";
import { readText, type Source } from "../core/text/document.ts";
import { openForBench } from "./open.ts";

interface Asked {
  question: string;
  phrase: string;
  right: RegExp;
}

const POLICY: Asked[] = (
  [
    [
      "Which user and group IDs are dynamically allocated for user accounts?",
      "1000-59999: Dynamically",
      /59999/,
    ],
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
      "written by the Free Desktop Group",
      /40/,
    ],
  ] as const
).map(([question, phrase, right]) => ({ question, phrase, right }));

const REFERENCE: Asked[] = (
  [
    [
      "How long should the delay of an NMU be that fixes only release-critical and important bugs?",
      "release-critical and important bugs: 5 days",
      /\b(5|five)\b/,
    ],
    ["After how many days without an answer may a package be salvaged?", "After the 21 days delay", /\b21\b/],
    [
      "What are the scripts called that look after the testing distribution?",
      "They generate the Packages files",
      /britney/i,
    ],
    ["What is the name of Debian's GitLab instance?", "called Salsa", /salsa/i],
    ["How often are updates of the keyring processed?", "Updates are processed at least once a month", /month/],
    ["What will Debian 12 be called?", "Debian 12, will be called", /bookworm/i],
    ["How many days do packages wait before they move to testing?", "currently 2, 5 or 10 days", /\b10\b/],
    [
      "For about how long is a stable release supported with security fixes?",
      "about 3 years from its initial",
      /\b(3|three)\b/,
    ],
    [
      "Which bugs should be announced on a mailing list if they cannot be fixed within two weeks?",
      "within 2 weeks",
      /release-critical/,
    ],
    [
      "To which address does one write to get a non-free package built automatically?",
      "non-free@buildd.debian.org",
      /non-free@buildd/,
    ],
  ] as const
).map(([question, phrase, right]) => ({ question, phrase, right }));

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
const pageOf = ({ source, page, section }: Partial<RecalledPassage>): string =>
  page !== undefined
    ? `page ${page}`
    : section !== undefined
    ? `section ${section}`
    : (source ?? "").replace(/^.*\//, "");

/** Text by page, as the tool itself reads it. */
async function pagesOf(sources: Source[]): Promise<{ type: string; pages: Map<string, string> }> {
  const pages = new Map<string, string>();
  let type = "";
  for (const source of sources) {
    const document = readText(source, () => {}), place: Partial<RecalledPassage> = { source: source.name };
    for await (const { text, ...marks } of document) {
      type = document.type;
      Object.assign(place, marks);
      const page = pageOf(place);
      pages.set(page, (pages.get(page) ?? "") + text);
    }
  }
  return { type, pages };
}

const short = (answer: string) => answer.replace(/\s+/g, " ").slice(0, 80);

const { type, pages } = await pagesOf(await openDocuments(positionals));
const placed = [POLICY, REFERENCE].map((questions) =>
  questions.flatMap(({ phrase, ...question }) => {
    const where = [...pages].filter(([, text]) => text.replace(/\s+/g, " ").includes(phrase)).map(([page]) => page);
    return where.length === 1 ? [{ ...question, page: where[0]! }] : [];
  })
);
const asked = placed.reduce((most, one) => one.length > most.length ? one : most);
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
let cited = 0, right = 0, rightFirst = 0;
for (const one of asked) {
  const forget = bookmark(memory.reader);
  for await (
    const event of respond(memory, {
      command: "ask",
      instruction: one.question,
      maxTokens: 48,
      cite: true,
      verify: true,
      documents: await openDocuments(positionals),
      peakRssBytes,
    })
  ) {
    if (event.type !== "result") continue;
    const { answer, draft = answer, citations = [] } = event.record, found = citations.map(pageOf);
    const isCited = found.includes(one.page), isRight = one.right.test(answer);
    cited += Number(isCited);
    right += Number(isRight);
    rightFirst += Number(one.right.test(draft));
    console.log(
      `${isCited ? "cited" : "-----"} ${isRight ? "right" : "-----"} ${one.question} (${one.page}; cited ${
        found.join(", ")
      }): ${short(draft)} | ${short(answer)}`,
    );
  }
  forget();
}
const { spent } = memory;
console.log(
  `${type}: ${spent.tokens} tokens in ${
    (spent.ms / 1000).toFixed(0)
  } s, ${pages.size} pages; the page is cited for ${cited} of ${asked.length}; ${rightFirst} answers from memory are right, ${right} after a look at the passages`,
);
await model.close();
