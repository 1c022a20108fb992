import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBudget } from "../../cli/budget_flag.ts";
import { useColor } from "../../cli/color.ts";
import { estimateTokens } from "../../cli/estimate.ts";
import { cacheFolder } from "../../cli/folders.ts";
import { readableBytes, readableCount, readableDuration } from "../../cli/numbers.ts";
import { printable } from "../../cli/output.ts";
import { statisticsLines } from "../../cli/render.ts";
import { parseHubName } from "../../cli/sources/hub.ts";
import { record } from "./answer_record.ts";

test("parseBudget: slots without a unit, bytes with one", () => {
  assert.deepEqual(parseBudget("1024"), { slots: 1024 });
  assert.deepEqual(parseBudget("0"), { slots: 0 });
  assert.deepEqual(parseBudget("64MiB"), { bytes: 67_108_864 });
  assert.deepEqual(parseBudget("64MB"), { bytes: 64_000_000 });
  assert.deepEqual(parseBudget("512K"), { bytes: 524_288 });
  assert.deepEqual(parseBudget("1.5 gib"), { bytes: 1_610_612_736 });
  assert.deepEqual(parseBudget("100b"), { bytes: 100 });
  for (const bad of ["", "x", "1.5", "-1", "1e3", "25%", "64 furlongs", "9".repeat(20), "9".repeat(20) + "GB", "NaN"]) {
    assert.throws(() => parseBudget(bad), { name: "UsageError" }, bad);
  }
});

test("cacheFolder: PALIMPSEST_CACHE, then XDG, then the platform's place", () => {
  assert.equal(cacheFolder({ PALIMPSEST_CACHE: "/own", XDG_CACHE_HOME: "/xdg", HOME: "/h" }, "linux"), "/own");
  assert.equal(cacheFolder({ XDG_CACHE_HOME: "/xdg", HOME: "/h" }, "darwin"), "/xdg/palimpsest");
  assert.equal(cacheFolder({ XDG_CACHE_HOME: "relative", HOME: "/h" }, "linux"), "/h/.cache/palimpsest");
  assert.equal(cacheFolder({ HOME: "/h" }, "darwin"), "/h/Library/Caches/palimpsest");
  assert.match(cacheFolder({ LOCALAPPDATA: "/local", USERPROFILE: "/h" }, "win32"), /local.palimpsest$/);
});

test("useColor: flags, then NO_COLOR, then FORCE_COLOR, then the terminal", () => {
  assert.equal(useColor(true, false, { NO_COLOR: "1" }), true);
  assert.equal(useColor(false, true, { FORCE_COLOR: "1" }), false);
  assert.equal(useColor(undefined, true, { NO_COLOR: "1", FORCE_COLOR: "1" }), false);
  assert.equal(useColor(undefined, true, { NO_COLOR: "" }), true);
  assert.equal(useColor(undefined, false, { FORCE_COLOR: "1" }), true);
  assert.equal(useColor(undefined, true, { FORCE_COLOR: "0" }), false);
  assert.equal(useColor(undefined, true, { TERM: "dumb" }), false);
  assert.equal(useColor(undefined, false, {}), false);
});

test("printable: what a terminal would obey is gone, text stays", () => {
  assert.equal(printable("a\x1b[31mb\x1b]0;title\x07c\r\n\td\x7f\u009be\u0000"), "a[31mb]0;titlec\n\tde");
  assert.equal(printable("Größe 東京 🐳 é"), "Größe 東京 🐳 é");
});

test("numbers are readable", () => {
  assert.deepEqual([0, 1023, 1024, 98_362_432, 2 ** 40].map(readableBytes), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "93.8 MiB",
    "1.0 TiB",
  ]);
  assert.deepEqual([0, 999, 1000, 1_234_567.4].map(readableCount), ["0", "999", "1,000", "1,234,567"]);
  assert.deepEqual([340, 9949, 34_000, 59_600, 754_000, 3_754_000].map(readableDuration), [
    "0.3 s",
    "9.9 s",
    "34 s",
    "1:00",
    "12:34",
    "1:02:34",
  ]);
});

test("parseHubName: hf:owner/name:file.gguf and nothing else", () => {
  assert.deepEqual(parseHubName("hf:owner/na-me.x:sub/file.Q4.gguf"), {
    repository: "owner/na-me.x",
    file: "sub/file.Q4.gguf",
  });
  for (
    const bad of [
      "owner/name:file.gguf",
      "hf:owner:file.gguf",
      "hf:owner/name:file.bin",
      "hf:owner/name:../x.gguf",
      "hf:a/b/c:x.gguf",
    ]
  ) {
    assert.equal(parseHubName(bad), null, bad);
  }
});

test("estimateTokens: from the usual size of a token to the document's own, and unknown for pipes", async () => {
  async function* pieces() {
    for (let i = 0; i < 4; i++) yield new Uint8Array(1000);
  }
  const estimate = estimateTokens([{ name: "a", size: 4000, chunks: pieces() }]);
  let read = 0;
  const totals: (number | undefined)[] = [];
  for await (const piece of estimate.sources[0]!.chunks) totals.push(estimate.total(read += piece.length / 2));
  // 500 tokens for 1000 bytes: two bytes each.
  assert.deepEqual(totals, [930, 2000, 2000, 2000]);
  assert.equal(estimateTokens([{ name: "stdin", chunks: pieces() }]).total(10), undefined);
});

test("statisticsLines: says what was compressed into what, and that an answer was cut", () => {
  const [first, second, ...more] = statisticsLines(record, false);
  assert.match(
    first!,
    /read 30,112 tokens \(1,206 tok\/s\), compressed into 1,024 slots · wrote 40 \(78 tok\/s\) · 26 s · KV 80\.6 MiB/,
  );
  assert.match(second!, /cut at --max-tokens/);
  assert.deepEqual(more, []);
  assert.match(statisticsLines({ ...record, kv: { ...record.kv, compactions: 0 } }, false)[0]!, /all kept in/);
  const told = statisticsLines(record, true);
  assert.equal(told.length, 5);
  const recalled = { ...record, passages: [{ at: 0.063, text: "Jackie Bray is a single mom from North Carolina" }] };
  assert.match(statisticsLines(recalled, true).at(-1)!, /from 6 % on: Jackie Bray/);
  assert.match(told[4]!, /29,100 slots evicted, 40 of what was written, compact positions/);
});
