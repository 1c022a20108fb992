import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { exitCodes } from "../../cli/exit_codes.ts";
import { manual } from "../../cli/man.ts";
import { createProgram } from "../../cli/program.ts";
import { palimpsest, root } from "./helpers.ts";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const here = (program: string) => spawnSync(program, ["--version"]).error === undefined;
const plain = (page: string) => page.replaceAll("\\-", "-").replaceAll("\\(ga", "`");

test("man: every visible command, flag, exit code and setting is on the page, which is the same as --json's", async () => {
  const [page, json] = await Promise.all([palimpsest(["man"]), palimpsest(["man", "--json"])]);
  assert.deepEqual([page.code, page.stderr], [0, ""]);
  assert.equal(JSON.parse(json.stdout).page, page.stdout);
  const text = plain(page.stdout);
  const look = (command: CommandUnknownOpts, path: string) => {
    for (const inner of command.createHelp().visibleCommands(command)) {
      if (inner.name() === "help") continue;
      assert.ok(text.includes(`.SS "${path} ${inner.name()}`), `${path} ${inner.name()}`);
      for (const option of inner.createHelp().visibleOptions(inner)) {
        if (option.long !== "--help") assert.ok(text.includes(`\\fB${option.flags}\\fR`), option.flags);
      }
      look(inner, `${path} ${inner.name()}`);
    }
  };
  look(createProgram() as unknown as CommandUnknownOpts, "palimpsest");
  for (const [code] of exitCodes) assert.ok(text.includes(`.TP\n\\fB${code}\\fR`), String(code));
  assert.match(text, /PALIMPSEST_KV_BUDGET/);
  assert.doesNotMatch(text, /\.SS "palimpsest complete /, "what only completion scripts call");
});

test("exit codes: the README's table has those of the man page", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const rows = readme.slice(readme.indexOf("| exit code | meaning |")).split("\n\n")[0]!;
  assert.deepEqual([...rows.matchAll(/^\| (\d+) \|/gm)].map((row) => Number(row[1])), exitCodes.map(([code]) => code));
});

test("man: mandoc and groff have nothing to say but that there is no date", {
  skip: here("groff") || here("mandoc") ? false : "neither mandoc nor groff is here",
}, () => {
  const input = manual(createProgram() as unknown as CommandUnknownOpts);
  for (
    const [program, args] of [["mandoc", ["-Tlint", "-W", "warning"]], ["groff", ["-ww", "-man", "-Tutf8"]]] as const
  ) {
    if (!here(program)) continue;
    const { stdout, stderr } = spawnSync(program, args, { input, encoding: "utf8" });
    const said = program === "mandoc" ? stdout + stderr : stderr;
    assert.deepEqual(said.split("\n").filter((line) => line && !line.includes("missing date")), [], program);
  }
});
