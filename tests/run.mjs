// What `npm test` does: under Bun all tests, and under Deno once more what touches the runtime. Files that start software GPUs take the longest and seldom keep two
// cores busy: they run one by one beside the others, and what they print follows at the end.
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** Deno's half: these files and folders but for files that start software GPUs, of every runtime. */
const UNDER_DENO = [
  "engine/",
  "reader_test.ts",
  "cache_test.ts",
  "formats/",
  "state/memory_state_test.ts",
  "cli/host_test.ts",
  "kernels/device_test.ts",
  "eval/",
];

/**
 * Ends with the line `N passed, N failed`. @returns the exit code
 * @param words of the command line: files, or flags of `bun test`
 * @param run starts a program in the project's folder and gives its exit code; @param say prints a line of ours
 */
export async function runTests(words, { root, bun, deno, environment, run, say }) {
  const folder = mkdtempSync(join(tmpdir(), "palimpsest-tests-"));
  const underBun = async (name, args, stdio) => {
    const report = join(folder, `${name}.xml`);
    const flags = ["--timeout", "300000", "--reporter=junit", `--reporter-outfile=${report}`];
    const code = await run(bun, ["test", ...flags, ...args], { stdio, env: environment });
    const counted = counts(report);
    // one that ended otherwise than with a failed test
    if (code !== 0 && counted.failed === 0) {
      say(`bun test ${args.join(" ").slice(0, 80)} ended with exit code ${code}`);
      counted.failed = 1;
    }
    return { code, ...counted };
  };
  // a program whose output follows when it has ended
  const quietly = async (name, start) => {
    const file = join(folder, `${name}.log`), log = openSync(file, "w");
    const result = await start(["ignore", log, log]);
    closeSync(log);
    return { result, output: readFileSync(file, "utf8") };
  };
  try {
    const parts = [];
    const files = testFiles(root), graphics = files.filter((file) => usesGraphics(root, file));
    const others = files.filter((file) => !graphics.includes(file));
    if (words.length > 0) {
      const chosen = words.some((word) => !word.startsWith("-"));
      parts.push(await underBun("bun", [...(chosen ? [] : ["tests"]), ...words], "inherit"));
    } else {
      say(`${graphics.length} files with software GPUs run beside the others; what they print comes last`);
      const outputs = [];
      const jobs = [
        async () => parts.push(await underBun("bun", others, "inherit")),
        // those of tests/kernels, the longest, come first
        ...graphics.toReversed().map((file, i) => async () => {
          const start = (stdio) => underBun(`graphics-${i}`, [file], stdio);
          const { result, output } = await quietly(`graphics-${i}`, start);
          outputs.push(output);
          parts.push(result);
        }),
        async () => parts.push(await underDeno(others)),
      ];
      // who stops it stops all that has not begun
      for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => jobs.length = 0);
      const work = async () => {
        for (let job = jobs.shift(); job; job = jobs.shift()) await job();
      };
      await Promise.all([work(), work()]);
      for (const output of outputs) console.log(output);
      // A file whose tests were all skipped has tested nothing.
      for (const part of parts) {
        for (const file of part.silent ?? []) say(`every test of ${file} was skipped`);
        part.failed += part.silent?.length ?? 0;
      }
    }
    const sum = (name) => parts.reduce((sum, part) => sum + (part[name] ?? 0), 0);
    const passed = sum("passed"), failed = sum("failed"), skipped = sum("skipped");
    if (skipped > 0) console.log(`${skipped} skipped, each with its reason above`);
    console.log(`${passed} passed, ${failed} failed`);
    // A run that ended without counting anything has not passed.
    return parts.find(({ code }) => code)?.code || (failed === 0 && passed > 0 ? 0 : 1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  async function underDeno(others) {
    if (!deno) {
      say("no Deno in node_modules: its half of the tests did not run");
      return { code: 0, passed: 0, failed: 1 };
    }
    say("the same under Deno: files, engine, reader, eval, which GPUs are taken");
    const chosen = others.filter((file) => UNDER_DENO.some((path) => file.startsWith(`./tests/${path}`)));
    const args = ["test", "-A", "--no-check", "--quiet", ...chosen];
    const env = { ...environment, NO_COLOR: "1" };
    const { result: code, output } = await quietly("deno", (stdio) => run(deno, args, { stdio, env }));
    const total = /(\d+) passed.*?\| (\d+) failed/.exec(output);
    if (!total || code !== 0) console.log(output);
    const failed = Number(total?.[2] ?? 1);
    return { code, passed: Number(total?.[1] ?? 0), failed: code === 0 ? failed : Math.max(1, failed) };
  }
}

/** All test files, relative to `root`, spelled so that `bun test` takes each as one. */
function testFiles(root) {
  const names = readdirSync(join(root, "tests"), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith("_test.ts")).sort().map((name) =>
    `./tests/${name.replaceAll("\\", "/")}`
  );
}

function usesGraphics(root, file) {
  return readFileSync(join(root, file), "utf8").includes('/software_gpus.ts"');
}

/** Numbers of a JUnit report, and the files in which nothing ran. */
function counts(report) {
  let passed = 0, failed = 0, skipped = 0;
  const files = new Map();
  const xml = existsSync(report) ? readFileSync(report, "utf8") : "";
  for (const [, attributes, body] of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)) {
    const file = /file="([^"]*)"/.exec(attributes)?.[1] ?? "";
    const outcome = body?.includes("<failure") || body?.includes("<error")
      ? "failed"
      : body?.includes("<skipped")
      ? "skipped"
      : "passed";
    if (outcome === "passed") passed++;
    else if (outcome === "failed") failed++;
    else skipped++;
    files.set(file, (files.get(file) ?? false) || outcome !== "skipped");
  }
  return { passed, failed, skipped, silent: [...files].filter(([, ran]) => !ran).map(([file]) => file) };
}
