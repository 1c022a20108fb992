/** The library's examples run as they stand, under Bun and Deno. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { palimpsest, root, runtimeCommand, runtimes, withFolder } from "./cli/helpers.ts";
import { writeFolder } from "./golden/as_folder.ts";
import { fixture } from "./host.ts";

test("examples/ask.ts is what the README shows", async () => {
  const code = (await readFile(join(root, "examples", "ask.ts"), "utf8")).split("\n").slice(2).join("\n").trim();
  assert.ok((await readFile(join(root, "README.md"), "utf8")).includes(code));
});

for (const runtime of runtimes) {
  test(`examples run under ${runtime}, and say what is wrong in a sentence`, () =>
    withFolder(async (folder) => {
      const at = (name: string) => join(folder, name), [program, ...first] = runtimeCommand(runtime);
      await writeFolder(fixture("golden/models/llama"), at("Tiny"), { dtype: "BF16" });
      writeFileSync(at("text.txt"), "The harbour keeps two cranes. ".repeat(60));
      const run = (example: string, ...args: string[]) =>
        palimpsest([...first, join(root, "examples", example), ...args], {
          program: program!,
          cwd: folder,
          env: { PALIMPSEST_CACHE: at("cache") },
        });
      const asked = await run("ask.ts", at("Tiny"), "text.txt", "How many cranes?");
      assert.equal(asked.code, 0, asked.stderr);
      assert.match(asked.stdout, /tokens read, [1-9]\d* slots per head evicted/);
      const kept = await run("read_once.ts", at("Tiny"), "text.txt", "text.pal", "How many?", "Why?");
      assert.equal(kept.code, 0, kept.stderr);
      const lines = kept.stdout.trim().split("\n").map((line) => JSON.parse(line));
      assert.deepEqual(lines.map(({ question }) => question), ["How many?", "Why?"]);
      assert.ok(lines.every(({ answer, cited }) => answer.length > 0 && cited > 0));
      const missing = await run("ask.ts", at("Tiny"), "none.txt", "Why?");
      assert.notEqual(missing.code, 0);
    }));
}
