// What `npm run setup|demo|test|golden|fuzz|compile|bench|needles|questions|…` does: makes sure that the packages are there, then starts the task with the Bun
// that came with them. Plain Node without packages, because it runs before there are any. A second run needs no network.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");

const tasks = {
  setup: () => say(`ready, try: npm run demo, or cli/palimpsest --help`),
  demo: (extra) => start(["cli/demo.ts", ...extra]),
  test,
  golden: (extra) => startAnywhere("tests/golden.ts", extra),
  fuzz: (extra) => start(["tests/fuzz.ts", ...extra]),
  compile: (extra) => start(["cli/compile.ts", ...extra]),
  bench: (extra) => start(["bench/speed.ts", ...extra]),
  needles: (extra) => start(["bench/needles.ts", ...extra]),
  decode: (extra) => start(["bench/decode.ts", ...extra]),
  "decode-speed": (extra) => start(["bench/decode_speed.ts", ...extra]),
  costs: (extra) => start(["bench/costs.ts", ...extra]),
  questions: (extra) => start(["bench/questions.ts", ...extra]),
  states: (extra) => start(["bench/states.ts", ...extra]),
  cited: (extra) => start(["bench/cited.ts", ...extra]),
  agnostic: (extra) => start(["bench/agnostic.ts", ...extra]),
  learned: (extra) => start(["bench/learned.ts", ...extra]),
  "gold-answers": (extra) => start(["bench/gold_answers.ts", ...extra]),
  sections: (extra) => start(["bench/sections.ts", ...extra]),
  "gpu-cost": (extra) => start(["bench/gpu_cost.ts", ...extra]),
  "gpu-speed": (extra) => startAnywhere("bench/gpu_speed.ts", extra),
  big: (extra) => start(["bench/big.ts", ...extra]),
  tokenizers: (extra) => startAnywhere("bench/tokenizers.ts", extra),
  greedy: (extra) => start(["bench/greedy.ts", ...extra]),
  "real-on-gpu": (extra) => {
    const env = withTestModel();
    return typeof env === "number" ? env : start(["tests/real_on_gpu.ts", ...extra], { env });
  },
};

const [name = "setup", ...extra] = process.argv.slice(2);
if (!Object.hasOwn(tasks, name)) {
  say(`unknown task ${JSON.stringify(name)}, there are: ${Object.keys(tasks).join(", ")}`);
  process.exit(2);
}
installPackages();
const bun = findBun();
process.exitCode = await tasks[name](extra) ?? 0;

/** Installs the packages at the versions of the lockfile, unless npm has already done just that. */
function installPackages() {
  if (packagesComplete()) return;
  say("installing the packages (Bun and Deno among them) ...");
  // `npm ci` is exact, but gives up where a registry lacks a package of another platform; `npm install` leaves that one out and still installs the
  // lockfile's versions.
  if (npm(["ci"], "ignore") !== 0 && npm(["install", "--no-save"], "inherit") !== 0) {
    say("npm could not install the packages");
    process.exit(1);
  }
}

/** Runs npm. Install scripts of packages are never run: one of them would download CUDA libraries. */
function npm(words, stderr) {
  const flags = [...words, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const options = { cwd: root, stdio: ["ignore", "inherit", stderr] };
  // npm tells its scripts where it is; otherwise it is on PATH.
  const self = process.env.npm_execpath;
  if (self && /npm-cli\.[cm]?js$/.test(self)) return spawnSync(process.execPath, [self, ...flags], options).status;
  return spawnSync("npm", flags, { ...options, shell: process.platform === "win32" }).status;
}

/** npm writes node_modules/.package-lock.json when an install is complete: it must hold all that our lockfile asks for. */
function packagesComplete() {
  try {
    const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
    const present = JSON.parse(readFileSync(join(modules, ".package-lock.json"), "utf8")).packages;
    return Object.entries(wanted).every(([path, wish]) =>
      path === "" || wish.optional || wish.peer ||
      (present[path]?.version === wish.version && existsSync(join(root, path)))
    ) && bunFiles().length > 0;
  } catch {
    return false;
  }
}

/** Bun's packages for this platform, the plain one first: those named baseline are for processors without AVX2, musl for Alpine. */
function bunFiles() {
  const scope = join(modules, "@oven");
  if (!existsSync(scope)) return [];
  return readdirSync(scope).sort((a, b) => a.length - b.length)
    .flatMap((folder) => ["bun", "bun.exe"].map((file) => join(scope, folder, "bin", file))).filter((file) =>
      existsSync(file)
    );
}

function findBun() {
  for (const file of bunFiles()) {
    // npm leaves the execute bit to install scripts, which are not run.
    if (process.platform !== "win32" && !(statSync(file).mode & 0o100)) chmodSync(file, 0o755);
    if (spawnSync(file, ["--version"], { stdio: "ignore" }).status === 0) return file;
  }
  say(`no Bun in ${join(modules, "@oven")} runs on this machine (${process.platform} ${process.arch})`);
  process.exit(6);
}

/** Runs a script of ours under Bun, its streams and its exit code ours. */
function start(args, options = {}) {
  const flags = ["--no-env-file", `--config=${join(root, "cli", "bunfig.toml")}`, "--no-install"];
  return spawnAndWait(bun, [...flags, ...args], { stdio: "inherit", ...options });
}

async function spawnAndWait(program, args, options) {
  const child = spawn(program, args, { cwd: root, ...options });
  // Ctrl-C reaches the child too; it decides what to keep, we only wait for it.
  const wait = () => {}, stop = () => child.kill("SIGTERM");
  process.on("SIGINT", wait).on("SIGTERM", stop);
  try {
    return await new Promise((done) => {
      child.on("error", (error) => {
        say(error.message);
        done(1);
      });
      child.on("close", (code, signal) => done(code ?? (signal === "SIGINT" ? 130 : 1)));
    });
  } finally {
    process.off("SIGINT", wait).off("SIGTERM", stop);
  }
}

/** Runs a script of ours; under Deno where PALIMPSEST_RUNTIME says so, which can use every graphics driver. */
function startAnywhere(script, extra) {
  if (process.env.PALIMPSEST_RUNTIME !== "deno") return start([script, ...extra]);
  const deno = denoFile();
  if (deno) {
    const flags = ["run", "--allow-all", "--quiet", "--no-lock", "--no-check"];
    return spawnAndWait(deno, [...flags, script, ...extra], { stdio: "inherit" });
  }
  say("no Deno in node_modules: without PALIMPSEST_RUNTIME=deno Bun runs this");
  return 6;
}

/** The environment in which PALIMPSEST_TEST_MODEL names a model, the default one where it named none; an exit code where that cannot be had. */
function withTestModel() {
  const environment = { ...process.env };
  if (!environment.PALIMPSEST_TEST_MODEL) {
    const pulled = spawnSync(bun, ["cli/main.ts", "pull", "--verbose", "--json"], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const told = JSON.parse(pulled.stdout.toString() || "{}");
    if (pulled.status !== 0) {
      say(`the test model is needed: ${told.message ?? "pull failed"}`);
      return pulled.status ?? 1;
    }
    environment.PALIMPSEST_TEST_MODEL = told.model.path;
  }
  return environment;
}

/** All tests, with the default model for those that need a real one. */
async function test(words) {
  const environment = withTestModel();
  if (typeof environment === "number") return environment;
  const { runTests } = await import("../tests/run.mjs");
  return await runTests(words, { root, bun, deno: denoFile(), environment, run: spawnAndWait, say });
}

function denoFile() {
  const scope = join(modules, "@deno");
  if (!existsSync(scope)) return null;
  const file = readdirSync(scope).flatMap((folder) => ["deno", "deno.exe"].map((name) => join(scope, folder, name)))
    .find((path) => existsSync(path));
  if (file && process.platform !== "win32" && !(statSync(file).mode & 0o100)) chmodSync(file, 0o755);
  return file ?? null;
}

function say(text) {
  console.error(`palimpsest: ${text}`);
}
