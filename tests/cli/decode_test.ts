import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { palimpsest, root, runtimes } from "./helpers.ts";

// a tiny model with random weights: it writes nonsense, and does not stop
const model = join(root, "fixtures", "gguf", "llama.q8_0.gguf");
const folder = mkdtempSync(join(tmpdir(), "palimpsest-decode-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const document = join(folder, "cat.txt");
writeFileSync(document, "The cat sat on the mat and went home.\n");
const SMALL = ["-m", model, "--kv-budget", "64", "--chunk", "32"];
/** Written beyond the budget before an eviction. */
const BLOCK = 16;

const run = (args: string[], env: Record<string, string> = {}) =>
  palimpsest(args, { env: { PALIMPSEST_CACHE: join(folder, "cache"), ...env } });

for (const runtime of runtimes) {
  test(`under ${runtime}, an answer longer than its decode budget stays inside it, and the record says what went`, async () => {
    const args = ["ask", "--json", ...SMALL, "-n", "300", document, "What did the cat do?"];
    const env = { PALIMPSEST_RUNTIME: runtime };
    const ended = await run([...args, "--policy", "moment", "--decode-budget", "32"], env);
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    const { kv, timing, policy } = JSON.parse(ended.stdout);
    assert.deepEqual([policy.decode, kv.decodeBudgetSlots, timing.decodeTokens], ["moment", 32, 300]);
    // the last token is not forwarded
    assert.equal(kv.evictedWrittenSlots, Math.floor((299 - 32) / BLOCK) * BLOCK);
    assert.equal(kv.evictedSlots, 0);
    const whole = JSON.parse((await run([...args, "--policy", "moment", "--decode-budget", "300"], env)).stdout);
    assert.deepEqual([whole.kv.decodeBudgetSlots, whole.kv.evictedWrittenSlots], [null, 0]);
    assert.equal(whole.kv.capacitySlots - kv.capacitySlots, 300 - 32 - BLOCK, "memory is what the budget says");
    assert.ok(kv.peakLiveSlots <= kv.capacitySlots && kv.peakLiveSlots < whole.kv.peakLiveSlots);
    const kept = JSON.parse((await run([...args, "--policy", "question"], env)).stdout);
    assert.equal(whole.answer, kept.answer, "what fits is written as without a decode budget");
    assert.equal(kept.kv.decodeBudgetSlots, null);
  });
}

test("summarize --length 2000 stays inside the decode budget", async () => {
  const args = ["summarize", "--json", ...SMALL, "--length", "2000", "--decode-budget", "64", document];
  const { policy, kv, timing } = JSON.parse((await run(args)).stdout);
  assert.deepEqual([policy.decode, kv.decodeBudgetSlots], ["moment", 64]);
  assert.ok(timing.decodeTokens > 2000);
  assert.equal(kv.evictedWrittenSlots, Math.floor((timing.decodeTokens - 1 - 64) / BLOCK) * BLOCK);
  assert.ok(kv.capacitySlots < 64 + 32 + 200, "and memory with it");
});

test("plan counts what is written as ask does", async () => {
  const args = [...SMALL, "--policy", "moment", "--decode-budget", "100", "-n", "5000"];
  const planned = JSON.parse((await run(["plan", "--json", ...args, document])).stdout);
  const short = JSON.parse((await run(["plan", "--json", ...args.slice(0, -1), "100", document])).stdout);
  assert.deepEqual([planned.kv.decodeBudgetSlots, short.kv.decodeBudgetSlots], [100, null]);
  assert.equal(planned.kv.capacitySlots - short.kv.capacitySlots, BLOCK);
  assert.match((await run(["plan", ...args, document])).stdout, /100 of them for what is written/);
});

test("decode budgets that cannot work are refused with one that does: exit 2 before anything is read, exit 4 for memory", async () => {
  const ask = (...args: string[]) => run(["ask", ...args, document, "Who?"]);
  for (const value of ["0", "15", "-3", "many", "1e3"]) {
    const ended = await ask("--decode-budget", value);
    assert.deepEqual([ended.code, ended.stdout], [2, ""], value);
    assert.match(ended.stderr, /--decode-budget.*whole number from 16/, value);
  }
  const kept = await ask("-m", "no-such-model", "--decode-budget", "64");
  assert.equal(kept.code, 2);
  assert.match(kept.stderr, /keeps all.*moment.*--max-tokens 64/);
  const few = await run(["ask", ...SMALL, "--json", "-n", "8", document, "Who?"], { PALIMPSEST_DECODE_BUDGET: "64" });
  assert.equal(few.code, 0, "an answer that is no longer than the budget keeps it: " + few.stdout);
  const wide = await ask("-m", model, "--policy", "moment", "-n", "100000", "--decode-budget", "5000");
  assert.equal(wide.code, 4);
  // plan does not know the question, and sets more aside for it
  const most = String(Number(/leaves (\d+)/.exec(wide.stderr)![1]!) - 64);
  assert.equal(
    (await run(["plan", "-m", model, "--policy", "moment", "-n", "100000", "--decode-budget", most, document])).code,
    0,
  );
  const huge = ["-m", model, "--policy", "moment", "--positions", "original", "-n", "1000000000"];
  const refused = await ask(...huge, "--decode-budget", "500000000");
  assert.equal(refused.code, 4);
  assert.match(refused.stderr, /smaller --max-tokens or --decode-budget/);
});

test("completions offer --decode-budget where it works", async () => {
  for (const command of ["ask", "summarize", "plan"]) {
    assert.match((await run(["complete", command, "--dec"])).stdout, /--decode-budget/);
  }
  assert.doesNotMatch((await run(["complete", "pull", "--dec"])).stdout, /--decode-budget/);
});
