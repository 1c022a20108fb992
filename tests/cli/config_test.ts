/** The config file: precedence, what is refused, and what `config` prints. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { configPath } from "../../cli/config_file.ts";
import { settingOptions } from "../../cli/options.ts";
import { createProgram } from "../../cli/program.ts";
import { settingsOf } from "../../cli/settings.ts";
import { defaultPolicies } from "../../core/policies.ts";
import { palimpsest, runtimes, withFolder } from "./helpers.ts";

test("configPath: PALIMPSEST_CONFIG, then XDG, then the platform's place", () => {
  assert.equal(configPath({ PALIMPSEST_CONFIG: "/own.toml", XDG_CONFIG_HOME: "/xdg" }, "linux"), "/own.toml");
  assert.equal(configPath({ XDG_CONFIG_HOME: "/xdg", HOME: "/h" }, "darwin"), "/xdg/palimpsest/config.toml");
  assert.equal(configPath({ XDG_CONFIG_HOME: "xdg", HOME: "/h" }, "linux"), "/h/.config/palimpsest/config.toml");
  assert.match(configPath({ APPDATA: "/roaming", USERPROFILE: "/h" }, "win32"), /roaming.palimpsest.config\.toml$/);
});

test("settings: every flag with a variable is one, its variable is named after it, and defaults are told as they are", () => {
  const names = new Set(settingOptions().map((option) => option.name()));
  for (const command of createProgram().commands) {
    for (const [name, option] of settingsOf(command)) {
      assert.ok(names.has(name), name);
      assert.equal(option.envVar, `PALIMPSEST_${name.toUpperCase().replaceAll("-", "_")}`);
    }
  }
  const policy = settingOptions().find((option) => option.name() === "policy")!.defaultValueDescription;
  assert.equal(policy, `${defaultPolicies.ask}, of summarize ${defaultPolicies.summarize}`);
});

for (const runtime of runtimes) {
  test(`config show under ${runtime}: flag, then environment, then file, then default`, () =>
    withFolder(async (folder) => {
      mkdirSync(join(folder, "palimpsest"));
      writeFileSync(
        join(folder, "palimpsest", "config.toml"),
        'kv-budget = "64MiB"\nchunk = 256\ndevice = "wasm"\nstrict = true\nverbose = true\n[summarize]\npolicy = "streaming"\n',
      );
      const env = {
        PALIMPSEST_CONFIG: "",
        XDG_CONFIG_HOME: folder,
        PALIMPSEST_RUNTIME: runtime,
        PALIMPSEST_CHUNK: "128",
        PALIMPSEST_DEVICE: "auto",
        PALIMPSEST_VERBOSE: "0",
      };
      const ended = await palimpsest(["config", "show", "--json", "--device", "cpu"], { env });
      assert.deepEqual([ended.code, ended.stderr], [0, ""]);
      const told = JSON.parse(ended.stdout);
      assert.deepEqual([told.schema, told.exists, told.file], [
        "palimpsest.config/1",
        true,
        join(folder, "palimpsest", "config.toml"),
      ]);
      const of = (name: string) => {
        const found = told.settings.find((one: { name: string }) => one.name === name);
        return [found.value, found.source];
      };
      assert.deepEqual(of("device"), ["cpu", "flag"]);
      assert.deepEqual(of("chunk"), [128, "environment"]);
      assert.deepEqual(of("verbose"), [false, "environment"]);
      assert.deepEqual(of("kv-budget"), ["67108864B", "file"]);
      assert.deepEqual(of("strict"), [true, "file"]);
      assert.deepEqual(of("positions"), ["auto", "default"]);
      assert.deepEqual(told.commands, [{ command: "summarize", name: "policy", value: "streaming" }]);
      const plain = await palimpsest(["config", "show"], { env });
      assert.match(plain.stdout, /^chunk +128 +environment \(PALIMPSEST_CHUNK\)$/m);
      assert.match(plain.stdout, /^summarize\.policy +streaming +file$/m);
    }));
}

test("the config file reaches commands, and a command's own table wins there", () =>
  withFolder(async (folder) => {
    const file = join(folder, "own.toml"), env = { PALIMPSEST_CONFIG: file };
    writeFileSync(join(folder, "text.txt"), "The door is green.\n");
    writeFileSync(file, 'model = "from-file"\n[ask]\nmodel = "from-table"\n');
    const run = (...args: string[]) => palimpsest(args, { cwd: folder, env });
    assert.match((await run("summarize", "text.txt")).stderr, /from-file/);
    assert.match((await run("ask", "text.txt", "Q")).stderr, /from-table/);
    assert.match((await run("ask", "-m", "from-flag", "text.txt", "Q")).stderr, /from-flag/);
    assert.equal((await run("config", "path")).stdout, `${file}\n`);
  }));

const refused: [text: string, says: RegExp][] = [
  ["kv_budget = 1024", /Unknown key kv_budget in the config file .*own\.toml: did you mean kv-budget\?/],
  ["speed = 3", /Unknown key speed in the config file .*: there are allow-software, chunk, .*verbose/],
  ["[asc]\nchunk = 3", /Unknown table \[asc\] in .*did you mean ask/],
  ["[ask]\nlength = 3", /Unknown key ask\.length in/],
  ["kv-budget = 'a lot'", /Cannot use kv-budget = "a lot" in .*own\.toml: it must be slots \(1024\) or bytes/],
  ["chunk = 1.5", /Cannot use chunk = 1\.5 in .*whole number from 1/],
  ["threads = [1]", /Cannot use threads = \[1\] in .*a text or a number/],
  ["device = 'abacus'", /device = "abacus" in .*llowed choices are auto, cpu/],
  ["strict = 'yes'", /strict = "yes" in .*true or false/],
  ["[ask]\npolicy = 'wishful'", /ask\.policy = "wishful" in .*unknown policy "wishful"/],
  ["chunk = \nthreads = 2", /own\.toml is not TOML: line 1, column/],
];
test("a bad config file: exit 2 and one sentence with file, key, value and what would work", () =>
  withFolder(async (folder) => {
    const file = join(folder, "own.toml"), env = { PALIMPSEST_CONFIG: file };
    const none = await palimpsest(["config", "show"], { env });
    assert.deepEqual([none.code, none.stderr.split("\n")[0]], [
      2,
      `palimpsest: Cannot read the config file ${file}: no such file`,
    ]);
    for (const [text, says] of refused) {
      writeFileSync(file, text);
      const ended = await palimpsest(["plan", "--json", "text.txt"], { env });
      assert.equal(ended.code, 2, text);
      assert.match(JSON.parse(ended.stdout).message, says);
    }
    const helped = await Promise.all([palimpsest(["--help"], { env }), palimpsest(["config", "path"], { env })]);
    assert.deepEqual(helped.map((one) => one.code), [0, 0], "help works with a bad file");
    const bad = await palimpsest(["plan", "text.txt"], { env: { PALIMPSEST_STRICT: "maybe" } });
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /PALIMPSEST_STRICT takes 1 or 0, current value is "maybe"/);
  }));
