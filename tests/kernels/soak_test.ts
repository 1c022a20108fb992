/** What a GPU holds and is asked for while a reading goes on and on: a process of `soak.ts`, which reads longer when started by hand. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { isRequired, root, softwareGpus } from "../software_gpus.ts";

/** Of the policy with the most kernels; a software GPU needs about a second for each. */
const CHUNKS = 16;
/** Bytes that may come back after a chunk. */
const FEW = 4096;

for (const { name, command, env, missing } of softwareGpus.filter(({ name }) => name === "Bun + SwiftShader")) {
  test(`a long reading on ${name}`, { skip: missing && !isRequired ? missing : false, timeout: 900_000 }, () => {
    if (missing && !isRequired) return console.log(`skipped: a long reading on ${name}: ${missing}`);
    assert.equal(missing, null, `PALIMPSEST_REQUIRE_GPU is set, but for ${name} ${missing}`);
    const { stdout, stderr, status, error } = spawnSync(
      command[0]!,
      [...command.slice(1), "tests/kernels/soak.ts", String(CHUNKS)],
      { cwd: root, env: { ...env, XDG_RUNTIME_DIR: "/tmp" }, encoding: "utf8" },
    );
    assert.equal(error, undefined);
    assert.equal(status, 0, stderr);
    const { chunks, compactions, finite, most, token, model, memory } = JSON.parse(
      stdout.trim().split("\n").at(-1)!,
    );
    assert.equal(chunks, CHUNKS);
    assert.ok(compactions >= CHUNKS - 6 && finite, stdout);
    assert.equal(memory.least, memory.most, "memory is the same after every chunk from the third compaction on");
    assert.equal(memory.end, memory.settled);
    assert.ok(memory.peak - memory.most <= FEW, `${memory.peak - memory.most} bytes more in the midst of a chunk`);
    assert.ok(most.bytesBack <= FEW, `${most.bytesBack} bytes came back after a chunk`);
    assert.equal(most.bytesBack, most.oursBack, "ONNX Runtime reads nothing back while a document is read");
    assert.equal(token.bytesBack, 4, "a written token's id comes back");
    assert.equal(most.ours, model.chunk, "the cost model counts the kernels of a chunk");
    assert.equal(token.ours, model.token, "the cost model counts the kernels of a token");
    assert.equal(most.oursBack, model.bytesBack, "the cost model counts what comes back");
    console.log(
      `${name}: ${chunks} chunks, ${memory.most} bytes held, ${most.ours} kernels and ${
        most.dispatches - most.ours
      } of ` +
        `ONNX Runtime's per chunk, ${most.bytesBack} bytes back`,
    );
  });
}
