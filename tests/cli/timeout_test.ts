/** `--timeout` and `--progress json`, with the tiny model. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseDuration } from "../../cli/duration.ts";
import { palimpsest, root, runtimes, withFolder } from "./helpers.ts";

const model = join(root, "fixtures", "gguf", "llama.q8_0.gguf");

test("parseDuration: seconds without a unit, 0 for none, nothing else", () => {
  assert.deepEqual(["30s", "5m", "1.5h", "250ms", "2", "0"].map(parseDuration), [30e3, 3e5, 54e5, 250, 2e3, 0]);
  for (const bad of ["", "s", "-1s", "1d", "soon", "999999h"]) assert.equal(parseDuration(bad), null, bad);
});

for (const runtime of runtimes) {
  test(`--timeout under ${runtime}: exit 124 and a sentence, and what was written stays`, () =>
    withFolder(async (folder) => {
      writeFileSync(join(folder, "text.txt"), "The door is green.\n");
      const env = { PALIMPSEST_RUNTIME: runtime, PALIMPSEST_CACHE: folder, PALIMPSEST_MODEL: model };
      const run = (...flags: string[]) =>
        palimpsest(["ask", "--threads", "1", ...flags, "text.txt", "Q"], { cwd: folder, env });
      const ended = await run("-n", "100000", "--timeout", "1.5s");
      assert.equal(ended.code, 124);
      assert.match(ended.stderr, /^palimpsest: Stopped when the time of --timeout was over: .*\n$/);
      assert.ok(ended.stdout.length > 10 && ended.stdout.endsWith("\n"), ended.stdout);
      assert.ok(ended.milliseconds < 5000, String(ended.milliseconds));
      const json = await run("-n", "100000", "--timeout", "1s", "--json");
      assert.deepEqual([json.code, JSON.parse(json.stdout).code], [124, 124]);
      writeFileSync(join(folder, "questions.txt"), "Which door?\n".repeat(500));
      const many = await palimpsest(["ask", "--timeout", "1s", "--questions", "questions.txt", "text.txt"], {
        cwd: folder,
        env,
      });
      assert.deepEqual([many.code, many.milliseconds < 5000], [124, true], many.stderr);
      const soon = await run("-n", "4", "--timeout", "5m");
      assert.deepEqual([soon.code, soon.stderr], [0, ""]);
      assert.ok(soon.milliseconds < 20_000, "a timer keeps nothing alive");
    }));

  test(`--progress json under ${runtime}: one object per line on stderr, stdout as ever, failures too`, () =>
    withFolder(async (folder) => {
      writeFileSync(join(folder, "text.txt"), "The door is green. ".repeat(80));
      const env = { PALIMPSEST_RUNTIME: runtime, PALIMPSEST_CACHE: folder, PALIMPSEST_MODEL: model };
      const run = (...words: string[]) => palimpsest(["ask", "--chunk", "128", ...words], { cwd: folder, env });
      const plain = await run("-n", "8", "text.txt", "Q");
      const ended = await run("-n", "8", "--progress", "json", "text.txt", "Q");
      assert.deepEqual([ended.code, ended.stdout], [0, plain.stdout]);
      const events = ended.stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
      for (const event of events) assert.equal(typeof event.elapsedMs, "number");
      const prefill = events.filter(({ phase }) => phase === "prefill");
      assert.deepEqual(Object.keys(prefill[0]).sort(), [
        "budgetSlots",
        "done",
        "elapsedMs",
        "event",
        "liveSlots",
        "phase",
        "total",
        "unit",
      ]);
      assert.ok(events.some(({ phase, total }) => phase === "decode" && total === undefined));
      const last = events.at(-1);
      assert.deepEqual([last.event, last.finish, last.timing.decodeTokens], ["result", "length", 8]);

      const failed = await run("--progress", "json", "nothing.txt", "Q");
      const { elapsedMs: _, ...error } = JSON.parse(failed.stderr);
      assert.deepEqual([failed.code, error], [
        3,
        { event: "error", code: 3, message: "Cannot read nothing.txt: no such file" },
      ]);
      assert.equal((await run("-n", "4", "--quiet", "--progress", "json", "text.txt", "Q")).stderr, "");
    }));
}
