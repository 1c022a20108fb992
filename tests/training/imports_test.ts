/** Names that the training programs import from each other exist: Python finds out when a command starts, and no test of ours starts one. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const folder = join(import.meta.dirname, "../../training");
const programs = new Map(
  readdirSync(folder).filter((name) => name.endsWith(".py"))
    .map((name) => [name.slice(0, -3), readFileSync(join(folder, name), "utf8")]),
);

const words = (list: string) => list.split(",").map((name) => name.trim()).filter(Boolean);

/** What a program's top level defines. */
function defined(text: string): Set<string> {
  const found = new Set<string>();
  for (const [, name] of text.matchAll(/^(?:def|class) (\w+)/gm)) found.add(name!);
  for (const [, names] of text.matchAll(/^([A-Za-z_][\w, ]*?)(?:: [^=]+)? = /gm)) {
    words(names!).forEach((name) => found.add(name));
  }
  for (const { names } of imports(text)) names.forEach((name) => found.add(name));
  return found;
}

const imports = (text: string) =>
  Array.from(
    text.matchAll(/^\s*from \.(\w*) import (.+)$/gm),
    ([, from, names]) => ({ from: from!, names: words(names!) }),
  );

test("training: every name imported from a program is defined there", () => {
  let seen = 0;
  for (const [name, text] of programs) {
    for (const { from, names } of imports(text)) {
      const there = from === "" ? new Set(programs.keys()) : defined(programs.get(from) ?? "");
      for (const one of names) {
        assert.ok(there.has(one), `${name}.py imports ${one}, which ${from || "the folder"} does not have`);
      }
      seen += names.length;
    }
  }
  assert.ok(seen > 20, `only ${seen} imports were found`);
});
