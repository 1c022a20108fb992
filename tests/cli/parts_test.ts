import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBudget } from "../../cli/budget_flag.ts";
import { useColor } from "../../cli/color.ts";
import { estimateTokens } from "../../cli/estimate.ts";
import { cacheFolder } from "../../cli/folders.ts";
import { readableBytes, readableCount, readableDuration } from "../../cli/numbers.ts";
import { printable } from "../../cli/output.ts";
import { statisticsLines } from "../../cli/render.ts";
import { parseHubName } from "../../cli/sources/hub/name.ts";
import { quantisationOf } from "../../cli/sources/hub/choose.ts";
import { byteCount, missingRanges, parseRanges, pieces, type Range, withRange } from "../../cli/sources/ranges.ts";
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

test("parseHubName: hf:owner/name[:file][@revision]; other words are no hub's, and what leaves the repository is refused", () => {
  assert.deepEqual(parseHubName("hf:owner/na-me.x:sub/file.Q4.gguf@refs/pr/3"), {
    repository: "owner/na-me.x",
    file: "sub/file.Q4.gguf",
    revision: "refs/pr/3",
  });
  assert.deepEqual(parseHubName("hf:o/n:Q4_K_M"), { repository: "o/n", file: "Q4_K_M" });
  assert.deepEqual(parseHubName("hf:o/n@v1"), { repository: "o/n", revision: "v1" });
  for (const other of ["owner/name:file.gguf", "smollm2-135m", ""]) assert.equal(parseHubName(other), null, other);
  for (
    const bad of [
      "",
      "o",
      "o:f",
      "a/b/c:x",
      "../n",
      "o/..",
      "o/n:../x",
      "o/n:a//b",
      "o/n:/x",
      "o/n:C:x",
      "o/n:a\\b",
      "o/n@../x",
      "o/n@",
    ]
  ) {
    assert.throws(() => parseHubName(`hf:${bad}`), { name: "UsageError" }, bad);
  }
});

test("ranges: joined where they touch, the missing ones are cut into pieces", () => {
  let ranges: Range[] = [];
  for (const one of [[10, 20], [40, 50], [20, 25], [5, 5], [24, 41], [60, 61]] as Range[]) {
    ranges = withRange(ranges, one);
  }
  assert.deepEqual(ranges, [[10, 50], [60, 61]]);
  assert.deepEqual(missingRanges(ranges, [0, 100]), [[0, 10], [50, 60], [61, 100]]);
  assert.deepEqual(missingRanges(ranges, [12, 50]), []);
  assert.deepEqual([byteCount(ranges), pieces([[0, 10], [61, 100]], 20)], [41, [[0, 10], [61, 81], [81, 100]]]);
  assert.deepEqual(parseRanges(JSON.parse("[[60,61],[10,50]]"), 61), ranges);
  for (const bad of [null, {}, [[0, 62]], [[3, 3]], [["0", 1]], [[-1, 2]], [[0, 0.5]]]) {
    assert.deepEqual(parseRanges(bad, 61), []);
  }
});

test("quantisationOf: the last word of a file's name", () => {
  const labels = [
    "m-Q8_0.gguf",
    "M.Q4_K_M.gguf",
    "x/m-UD-Q4_K_XL.gguf",
    "m-iq2_xxs.gguf",
    "m-fp16.gguf",
    "Qwen3-4B.gguf",
    "model.gguf",
  ].map(quantisationOf);
  assert.deepEqual(labels, ["Q8_0", "Q4_K_M", "UD-Q4_K_XL", "IQ2_XXS", "F16", null, null]);
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
  const converted = estimateTokens([{ name: "a.pdf", size: 4000, chunks: pieces() }]);
  for await (const _ of converted.sources[0]!.chunks) { /* all of it before the first token */ }
  assert.equal(converted.total(512), undefined);
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
  assert.match(statisticsLines(recalled, true).at(-1)!, /read again, from 6 %: Jackie Bray/);
  assert.match(told[4]!, /29,100 slots evicted, 40 of what was written, compact positions/);
});
