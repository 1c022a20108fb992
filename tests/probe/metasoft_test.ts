import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { dequantise } from "../../core/engine/dequantise.ts";
import { openGguf } from "../../core/engine/gguf.ts";
import { readSafetensors } from "../../core/engine/safetensors.ts";
import type { ModelFile } from "../../core/engine/weights.ts";
import { EmbeddingTable } from "../../core/pack/embeddings.ts";
import { packArrays } from "../../core/pack/arrays.ts";
import type { PackHeader } from "../../core/pack/header.ts";
import { metasoftPack, synthesise } from "../../core/pack/metasoft.ts";
import { readPack } from "../../core/pack/packs.ts";
import { parsePolicy } from "../../core/policies.ts";
import { featuresFor } from "../../core/policy.ts";
import { DocumentMean, documentMeanBytes } from "../../core/probe/document_mean.ts";
import { metasoft, metasoftRows } from "../../core/probe/metasoft.ts";
import { Reader } from "../../core/reader.ts";
import { readArrays } from "../golden/open.ts";
import { files, fixture } from "../host.ts";
import { randomPacks, SOFT_OFFSET, SOFT_ROWS } from "../packs.ts";
import { difference, fakeTokenizer, openTiny, tokens } from "../tiny_llama.ts";
import { look, snapshot } from "./context.ts";

const { engine, model, close } = await openTiny({
  features: { mass: ["max", "mean"], logBias: true, embeddings: true, packs: ["metasoft"] },
  packs: randomPacks,
});

describe("metasoft", () => {
  after(close);
  const ids = tokens(90, 4), { table, hidden } = engine.packs.metasoft!;

  test("synthesise: the rows that Python makes of the same arrays (fixtures/packs)", async () => {
    const file = await files.open(fixture("packs/metasoft.safetensors")), stored = await readSafetensors(file);
    const { shape: [documents, , width], data } = await stored.read("test.features");
    const embeddings = { name: "embed_tokens", type: "F32", shape: [1, width], bytes: new Uint8Array(4 * width!) };
    const stub = { config: { hidden: width }, tensor: () => Promise.resolve(embeddings) } as unknown as ModelFile;
    const pack = await readPack("metasoft", file, stub), features = data as Float32Array;
    const asked = (await stored.read("test.rows")).data as Float32Array, size = pack.count * width!;
    const at = (document: number, feature: number) => {
      const from = (3 * document + feature) * width!;
      return features.subarray(from, from + width!);
    };
    const copied = (await stored.read("test.copied")).data as Float32Array, copies = pack.copy.length;
    const copy = (document: number, row: number) => {
      const from = (copies * document + row) * width!;
      return copied.subarray(from, from + width!);
    };
    assert.equal(copies, 2);
    assert.ok(documents! >= 4);
    for (let document = 0; document < documents!; document++) {
      const made = synthesise(
        pack,
        [at(document, 0), at(document, 1), at(document, 2)],
        [copy(document, 0), copy(document, 1)],
      );
      assert.ok(
        difference(made, asked.subarray(document * size, (document + 1) * size)) < 1e-5,
        `document ${document}`,
      );
    }
    // the rows are not the same for all documents, or nothing would be shown
    assert.ok(difference(asked.subarray(0, size), asked.subarray(size, 2 * size)) > 1e-2);
    await file.close();
  });

  test("rows: those that PyTorch makes of a document, and of a document and a question (training/reference.py)", async () => {
    const path = fixture("packs/reference.safetensors"), all = await readArrays(path), file = await files.open(path);
    const stored = await readSafetensors(file),
      prefix = "metasoft.",
      of = await openGguf(await files.open(fixture("gguf/llama3rope.q8_0.gguf")));
    const header = { path, method: "metasoft", parameters: { chosen: 3, question: 1 } } as unknown as PackHeader;
    const arrays = new Map(
      [...stored.arrays].filter(([name]) => name.startsWith(prefix)).map((
        [name, array],
      ) => [name.slice(prefix.length), array]),
    );
    const own = packArrays({ ...stored, arrays, read: (name: string) => stored.read(prefix + name) }, header);
    const pack = await metasoftPack(header, own, of),
      numbers = (name: string) => [...all.data(prefix + name) as Int32Array];
    const ids = numbers("document"), where = { nextPosition: ids.length, positionsLeft: Infinity };
    for (const size of [ids.length, 7]) {
      const document = new DocumentMean(pack.table, 0, pack.salience);
      for (let from = 0; from < ids.length; from += size) document.add(ids.slice(from, from + size));
      assert.deepEqual(document.salient(3), numbers("alone.salient"));
      assert.deepEqual(document.salientBehind(numbers("question"), 3), numbers("asked.salient"));
      for (const [name, questionTokens] of [["alone", []], ["asked", numbers("question")]] as const) {
        const { embeddings } = metasoftRows({
          packs: { metasoft: pack },
          document,
          questionTokens: [...questionTokens],
          ...where,
        });
        assert.ok(
          difference(embeddings, Float32Array.from(all.data(`${prefix}${name}.rows`))) < 1e-4,
          `${name}, chunks of ${size}`,
        );
      }
    }
    await file.close();
    await of.close();
  });

  test("DocumentMean: a salient token stays known however long the document grows, within a state of constant size", () => {
    const { salience } = engine.packs.metasoft!, document = new DocumentMean(table, 0, salience);
    document.add(ids);
    const first = document.salient(1)[0]!;
    for (let i = 0; i < 20; i++) document.add([first]);
    assert.deepEqual(document.salient(200).filter((token) => token === first), [first]);
    assert.ok(document.salient(200).length <= 64);
    assert.deepEqual(new DocumentMean(table).salient(3), []);
  });

  /** The rows for a document that was read. */
  const rowsFor = (document: number[], questionTokens: number[] = []) => {
    const mean = new DocumentMean(table, 0, engine.packs.metasoft!.salience);
    mean.add(document);
    const where = { nextPosition: document.length, positionsLeft: Infinity };
    return metasoftRows({ packs: engine.packs, document: mean, questionTokens, ...where });
  };

  test("EmbeddingTable: rows of the matrix as the model has them, stored in floats or in blocks", async () => {
    const quantised = await openGguf(await files.open(fixture("gguf/llama.q8_0.gguf")));
    for (const one of [model, quantised]) {
      const { type, bytes } = await one.tensor("embed_tokens"), whole = dequantise(type, bytes);
      const table = await EmbeddingTable.open(one), { vocab, hidden } = one.config;
      for (const id of [0, 1, 77, vocab - 1]) {
        assert.equal(difference(table.of(id), whole.subarray(id * hidden, (id + 1) * hidden)), 0);
      }
    }
    await quantised.close();
  });

  test("DocumentMean: mean and last embedding of the document, however it is cut, without what stands before it", () => {
    for (const [size, before] of [[90, 0], [7, 0], [1, 0], [90, 20], [7, 20], [7, 21], [30, 90]] as const) {
      const mean = new DocumentMean(table, before);
      for (let from = 0; from < ids.length; from += size) mean.add(ids.slice(from, from + size));
      const own = ids.slice(before), asked = new Float64Array(hidden);
      for (const id of own) table.of(id).forEach((value, d) => asked[d]! += value / own.length);
      assert.ok(difference(mean.mean(), asked) < 1e-6, `chunks of ${size} behind ${before}`);
      assert.equal(difference(mean.last, own.length > 0 ? table.of(own.at(-1)!).slice() : new Float32Array(hidden)), 0);
    }
  });

  test("rows: the same for the same document, others for another, for another last token and for a question", () => {
    const { embeddings, count, offset } = rowsFor(ids);
    assert.deepEqual([count, offset, embeddings.length], [SOFT_ROWS, SOFT_OFFSET, SOFT_ROWS * hidden]);
    assert.equal(difference(embeddings, rowsFor(ids).embeddings), 0);
    const others = [rowsFor(tokens(90, 5)), rowsFor(ids.with(-1, 3)), rowsFor(ids, tokens(9, 8))];
    for (const other of others) assert.ok(difference(embeddings, other.embeddings) > 1e-3);
  });

  test("rows: a pack that was trained without questions hears none", () => {
    const document = new DocumentMean(table), { metasoft } = engine.packs;
    document.add(ids);
    const packs = { metasoft: { ...metasoft!, hearsQuestion: false } }, where = { nextPosition: 90, positionsLeft: 99 };
    const [without, with_] = [[], tokens(9, 8)].map((questionTokens) =>
      metasoftRows({ packs, document, questionTokens, ...where }).embeddings
    );
    assert.deepEqual(with_, without);
  });

  test("nothing of the rows stays, and twice the same", async () => {
    for (const size of [90, 64, 7]) {
      const [own, again] = [
        await look(engine, metasoft(), { ids, size }),
        await look(engine, metasoft(), { ids, size }),
      ];
      assert.equal(own.evidence.rows, SOFT_ROWS);
      assert.deepEqual(again.evidence, own.evidence);
      assert.deepEqual(snapshot(own.cache).map(({ live }) => live), Array(own.cache.heads).fill(ids.length));
    }
  });

  test("a reader's rows are of all that it read, compacted or not, and of what a question on the side left alone", async () => {
    const policy = parsePolicy("metasoft"), seen: Float32Array[] = [];
    const spied = {
      ...policy,
      probe: {
        ...policy.probe,
        look(context: Parameters<typeof policy.probe.look>[0]) {
          seen.push(context.document!.mean());
          return policy.probe.look(context);
        },
      },
    };
    const budget = { slots: 64, capacity: 64 + 32 + 32, bytes: 0, clampedFrom: null };
    const reader = new Reader(engine, spied, {
      budget,
      chunkTokens: 32,
      reserve: 32,
      positions: "original",
      questionTokens: [],
      answerTokens: [],
      headTokens: 10,
      tokenizer: fakeTokenizer,
    });
    for (let from = 0; from < 160; from += 32) {
      await reader.read(tokens(160, 6).slice(from, from + 32));
      await reader.aside(0, () => reader.write(tokens(3, 7)));
    }
    assert.equal(reader.compactions, 3);
    assert.equal(seen.length, 3);
    for (const [i, to] of [96, 128, 160].entries()) {
      const mean = new DocumentMean(table);
      mean.add(tokens(160, 6).slice(10, to));
      assert.ok(difference(seen[i]!, mean.mean()) < 1e-6);
    }
    assert.equal(reader.kvBytes, reader.cache.bytes + documentMeanBytes(hidden));
  });

  test("featuresFor: the policy has its pack, rows given as embeddings, and the flow's biases", () => {
    const { embeddings, packs, logBias, mass } = featuresFor(parsePolicy("metasoft"));
    assert.deepEqual({ embeddings, packs, logBias, mass }, {
      embeddings: true,
      packs: ["metasoft"],
      logBias: true,
      mass: ["mean"],
    });
    assert.deepEqual(featuresFor(parsePolicy("probe=judgeq+metasoft")).packs, ["judgeq", "metasoft"]);
  });
});
