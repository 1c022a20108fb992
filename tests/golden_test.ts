/** Every golden vector of `fixtures/golden`, and whether the runner would notice a wrong number. */
import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { close, equal, Report } from "./golden/report.ts";
import { allVectors } from "./golden/vectors.ts";
import { fixture } from "./host.ts";

const root = fixture("golden");

for (const vector of await allVectors(root)) {
  const reason = vector.unsupported ?? vector.unavailable;
  test(`golden: ${vector.name}`, { skip: reason ?? false, timeout: 120_000 }, async () => {
    const failed = (await vector.run()).filter((check) => !check.ok);
    assert.deepEqual(failed.map((check) => check.text), []);
  });
}

/** A copy of one model and one policy folder, changed by `change`, through the runner: its lines and summary. */
async function runChanged(change: (folder: string) => Promise<void>): Promise<{ lines: string[]; summary: string }> {
  const folder = await mkdtemp(join(tmpdir(), "palimpsest-golden-"));
  try {
    await cp(join(root, "models", "llama"), join(folder, "models", "llama"), { recursive: true });
    await cp(join(root, "policies", "llama"), join(folder, "policies", "llama"), { recursive: true });
    await change(folder);
    const lines: string[] = [], report = new Report((line) => lines.push(line));
    for (const vector of await allVectors(folder)) {
      if (/config\.json|\/snapkv_c0\.50|\/streaming_llm_c0\.50/.test(vector.name)) await report.run(vector);
    }
    return { lines, summary: report.summary() };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Changes values of an array of a safetensors file in place. */
async function editArray(path: string, name: string, edit: (view: DataView) => void): Promise<void> {
  const bytes = await readFile(path), view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes)));
  const [begin, end] = header[name].data_offsets;
  edit(new DataView(bytes.buffer, bytes.byteOffset + 8 + headerBytes + begin, end - begin));
  await writeFile(path, bytes);
}

test("golden runner: an untouched copy passes", async () => {
  assert.equal((await runChanged(async () => {})).summary, "3 passed, 0 failed, 0 not yet supported");
});

test("golden runner: one logit, one kept slot, one greedy id off are each found, with what was asked and measured", async () => {
  const { lines, summary } = await runChanged(async (folder) => {
    const nudge = (view: DataView) => view.setFloat32(40, view.getFloat32(40, true) + 1e-3, true);
    await editArray(join(folder, "models/llama/golden.safetensors"), "logits_last8", nudge);
    await editArray(join(folder, "policies/llama/scores.safetensors"), "snapkv", nudge);
    const flip = (view: DataView) => view.setUint8(50, 1 - view.getUint8(50));
    await editArray(join(folder, "policies/llama/streaming_llm_c0.50.safetensors"), "kept_mask", flip);
    const path = join(folder, "models/llama/golden.json"), golden = JSON.parse(await readFile(path, "utf8"));
    golden.greedy_ids[5]++;
    await writeFile(path, JSON.stringify(golden));
  });
  assert.equal(summary, "0 passed, 3 failed, 0 not yet supported");
  const failed = lines.filter((line) => line.includes("FAILED")).join("\n");
  assert.match(
    failed,
    /logits_last8 in one piece: largest difference 1\.0e-3, tolerance 2\.0e-4 \(number 10: asked .*, measured .*\)/,
  );
  assert.match(failed, /scores: largest difference 1\.0e-3/);
  assert.match(failed, /kept_mask: 1 of \d+ differ, tolerance 0 \(number 50: asked [01], measured [01]\)/);
  assert.match(failed, /greedy_ids: 1 of \d+ differ/);
});

test("golden runner: parameters are read; unknown ones, policies and architectures are not yet supported", async () => {
  const { lines, summary } = await runChanged(async (folder) => {
    const path = join(folder, "policies/llama/manifest.json"), manifest = JSON.parse(await readFile(path, "utf8"));
    for (const file of manifest.files) {
      if (file.policy === "snapkv") file.params.window += 1; // another window gives other scores
      if (file.policy === "streaming_llm") file.params.alpha = 2;
    }
    await writeFile(path, JSON.stringify(manifest));
    const model = join(folder, "models/llama/golden.json"), golden = JSON.parse(await readFile(model, "utf8"));
    golden.model_type = "mamba";
    await writeFile(model, JSON.stringify(golden));
  });
  assert.equal(summary, "0 passed, 1 failed, 2 not yet supported");
  assert.match(lines.join("\n"), /not yet supported .*architecture mamba/);
  assert.match(lines.join("\n"), /not yet supported .*streaming_llm with parameters .*alpha/);
});

test("golden runner: a crash and a vector without a comparison fail", async () => {
  const lines: string[] = [], report = new Report((line) => lines.push(line));
  await report.run({ name: "crash", run: () => Promise.reject(new Error("no such file")) });
  await report.run({ name: "empty", run: () => Promise.resolve([]) });
  assert.equal(report.summary(), "0 passed, 2 failed, 0 not yet supported");
  assert.match(lines[1]!, /no such file/);
});

test("close and equal: NaN, infinity and other lengths fail", () => {
  assert.ok(close("x", [1, 2], [1, 2.1], 0.2).ok);
  for (const measured of [[1, NaN], [NaN, 2.1], [1, Infinity], [1], [1, 2.1, 3]]) {
    assert.ok(!close("x", measured, [1, 2.1], 0.2).ok, String(measured));
    assert.ok(!equal("x", measured, [1, 2.1]).ok, String(measured));
  }
  assert.ok(!close("x", [1, 2], [1, NaN], 0.2).ok);
});
