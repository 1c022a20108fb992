// deno-lint-ignore-file no-control-regex -- terminals are commanded by control characters
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { statisticsLines } from "../../cli/render.ts";
import { record } from "./answer_record.ts";
import { inTerminal, launcher, needsTerminal, palimpsest, root, runtimeCommand, runtimes } from "./helpers.ts";

const script = join(root, "tests", "cli", "fake_answer.ts");

for (const runtime of runtimes) {
  const [program, ...first] = runtimeCommand(runtime) as [string, ...string[]];
  const piped = (flags: object) => palimpsest([...first, script, JSON.stringify(flags)], { program });
  const shown = (flags: object, env: Record<string, string> = {}) =>
    inTerminal(program, [...first, script, JSON.stringify(flags)], { env: { TERM: "xterm", ...env } });

  test(`streams under ${runtime}: piped, stdout is the answer with a final newline and stderr is silent`, async () => {
    const ended = await piped({});
    // Not a terminal: the bytes are the model's own.
    assert.deepEqual([ended.code, ended.stdout, ended.stderr], [0, "The door is green\x1b]0;owned\x07.\n", ""]);
  });

  test(`streams under ${runtime}: --json is one object on one line, --verbose talks on stderr only`, async () => {
    const ended = await piped({ json: true, verbose: true });
    assert.equal(ended.stdout.trimEnd().split("\n").length, 1);
    assert.equal(JSON.parse(ended.stdout).schema, "palimpsest.answer/1");
    assert.match(ended.stderr, /^palimpsest: 3 bytes were replaced \[2J$/m);
    assert.match(ended.stderr, /^read 30,112 tokens .* compressed into 1,024 slots/m);
    assert.doesNotMatch(ended.stderr, /[\x1b\r]/);
  });

  test(`streams under ${runtime}: --quiet beats --verbose`, async () => {
    assert.equal((await piped({ quiet: true, verbose: true })).stderr, "");
  });

  test(`streams under ${runtime}: a failure in the middle keeps the text and its newline`, async () => {
    const ended = await piped({ fail: true });
    assert.notEqual(ended.code, 0);
    assert.equal(ended.stdout, "The door is green\x1b]0;owned\x07.\n");
  });

  test(
    `terminal under ${runtime}: a live line, an answer that cannot command the terminal, statistics`,
    needsTerminal,
    async () => {
      const { stdout } = await shown({ color: false });
      assert.match(
        stdout,
        /\rreading 1,024 of 2,048 \(50 %\) tokens · [\d,]+ tok\/s · [\d.]+ s left · 1,024 of 1,024 slots\x1b\[K/,
      );
      // the answer stands on its line when something else begins
      assert.match(stdout, /\r\x1b\[KThe door is green\]0;owned\.\r\n\rlooking for where it came from\x1b\[K/);
      assert.match(stdout, /\r\x1b\[Kread 30,112 tokens/);
    },
  );

  test(`terminal under ${runtime}: dim where colour is welcome, plain under NO_COLOR`, needsTerminal, async () => {
    assert.match((await shown({})).stdout, /\x1b\[2mread 30,112/);
    assert.doesNotMatch((await shown({}, { NO_COLOR: "1" })).stdout, /\x1b\[2m/);
    assert.equal((await shown({ quiet: true })).stdout, "The door is green]0;owned.\r\n");
  });

  test(`terminal under ${runtime}: without a document the command says so at once, exit 2`, needsTerminal, async () => {
    for (const command of [["ask", "Who?"], ["summarize"], ["plan"]]) {
      const ended = await inTerminal(launcher, command, { env: { PALIMPSEST_RUNTIME: runtime } });
      assert.equal(ended.code, 2);
      assert.match(ended.stdout, /document is missing.*\r\nUsage: palimpsest/);
    }
  });
}

test("statistics tell how it was answered", () => {
  const plain = statisticsLines(record, true).join("\n");
  assert.match(plain, /compressed into 1,024 slots/);
  assert.doesNotMatch(plain, /first answer/);
  assert.match(statisticsLines({ ...record, draft: "Red." }, true).join("\n"), /^first answer: Red\.$/m);
  assert.match(statisticsLines({ ...record, parts: 30 }, false)[0]!, /answered in 30 parts of up to 1,024 slots/);
});
