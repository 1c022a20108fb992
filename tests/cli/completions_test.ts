import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { symlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { launcher, palimpsest, withFolder } from "./helpers.ts";

const names = (text: string) =>
  text.split("\n").filter((line) => line && !line.startsWith(":")).map((line) => line.split("\t")[0]);
const complete = async (...words: string[]) => {
  const ended = await palimpsest(["complete", "--", ...words]);
  assert.deepEqual([ended.code, ended.stderr], [0, ""]);
  return ended.stdout;
};

for (const shell of ["bash", "zsh", "fish", "powershell"]) {
  test(`completions ${shell}: a script that calls palimpsest back`, async () => {
    const ended = await palimpsest(["completions", shell]);
    assert.deepEqual([ended.code, ended.stderr], [0, ""]);
    assert.match(ended.stdout, /palimpsest/);
    assert.match(ended.stdout, /complete/);
    const told = JSON.parse((await palimpsest(["completions", shell, "--json"])).stdout);
    assert.deepEqual([told.schema, told.shell, told.script], ["palimpsest.completions/1", shell, ended.stdout]);
  });
}

test("complete: commands, sub-commands, flags, choices, policies and models", async () => {
  const commands = [
    "ask",
    "read",
    "chat",
    "summarize",
    "plan",
    "batch",
    "eval",
    "pull",
    "models",
    "policies",
    "doctor",
    "config",
    "completions",
    "man",
    "version",
  ];
  assert.deepEqual(names(await complete("")), commands);
  assert.deepEqual(names(await complete("su")), ["summarize"]);
  assert.deepEqual(names(await complete("models", "")), ["list", "recommend", "rm", "path"]);
  assert.deepEqual(names(await complete("config", "")), ["show", "path"]);
  assert.ok(names(await complete("ask", "--")).includes("--kv-budget"));
  assert.deepEqual(names(await complete("ask", "--po")), ["--policy", "--positions"]);
  assert.deepEqual(names(await complete("ask", "--positions", "")), ["auto", "original", "compact"]);
  assert.deepEqual(names(await complete("completions", "")), ["bash", "zsh", "fish", "powershell"]);
  assert.ok(names(await complete("ask", "--policy", "")).includes("snapkv"));
  assert.deepEqual(names(await complete("policies", "critical-s")), ["critical-snapkv"]);
  assert.deepEqual(names(await complete("policies", "--st")), ["--stages"]);
  assert.deepEqual(names(await complete("pull", "")), ["smollm2-135m"]);
});

test("complete: where a document is expected the shell completes file names", async () => {
  assert.equal(await complete("ask", ""), ":0\n");
  assert.equal(await complete("summarize", "REA"), ":0\n");
  assert.match(await complete("doctor", ""), /:4\n$/);
});

/** What is typed into each shell after its script was read, and how its candidates are printed. PowerShell's script is only looked at above. */
const shells: Record<string, string> = {
  bash: `COMP_WORDS=(palimpsest conf); COMP_CWORD=1; COMP_LINE="palimpsest conf"; COMP_POINT=\${#COMP_LINE}
    source $0; __palimpsest_complete 2>/dev/null; echo "\${COMPREPLY[@]}"`,
  zsh: `_describe() { print -rl -- $completions }; words=(palimpsest conf); CURRENT=2; _palimpsest`,
  fish: `complete -C "palimpsest conf"`,
};
for (const [shell, typed] of Object.entries(shells)) {
  const here = spawnSync(shell, ["-c", "exit 0"]).status === 0;
  test(
    `${shell}: the script completes a command line`,
    { skip: here ? false : `${shell} is not here` },
    () =>
      withFolder((folder) => {
        symlinkSync(launcher, join(folder, "palimpsest"));
        const script = spawnSync(launcher, ["completions", shell], { encoding: "utf8" }).stdout;
        writeFileSync(join(folder, "script"), script);
        const before = shell === "zsh" ? "compdef() {}; " : "";
        const ended = spawnSync(shell, ["-c", `${before}source ${folder}/script; ${typed}`, `${folder}/script`], {
          encoding: "utf8",
          env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
        });
        assert.match(ended.stdout, /^config\b/m);
        assert.doesNotMatch(ended.stdout, /doctor/);
        assert.equal(ended.stderr, "");
      }),
  );
}
