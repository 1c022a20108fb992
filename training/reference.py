"""Inputs and outputs of every learned piece on a tiny model, for the tool's tests.

    python -m training.reference fixtures/gguf/llama3rope.q8_0.gguf fixtures/packs/reference.safetensors
"""
import json, sys

import torch
from safetensors.torch import save_file

from .data import group_mean, look, read
from .fingerprint import fingerprint
from .gguf_file import open_model
from .indexmem import Indexer, Memory, plain_keys
from .metasoft import Selector
from .model import Llama
from .salience import Salience

TOKENS, ROWS, WRITTEN = 40, 6, 24


@torch.no_grad()
def main(path, out):
    model, g = open_model(path), torch.Generator().manual_seed(7)
    lm, draw = Llama(model), lambda *shape: torch.randn(*shape, generator=g)
    c, t = lm.config, {}

    # Judge Q: rows that stand directly after what was read; their attention, mean over the rows and over the heads of a group
    ids = torch.randint(0, c.vocab, (TOKENS,), generator=g).tolist()
    x = torch.zeros(c.layers, TOKENS, c.hidden)
    done = [0] * c.layers
    def note(i, rows):
        if done[i] + len(rows) <= TOKENS: x[i, done[i]:done[i] + len(rows)] = rows
        done[i] += len(rows)
    s = dict(read(lm, ids, 512, hidden=note), n=TOKENS)
    s["K"], s["V"] = s["K"].float(), s["V"].float()
    tokens = (draw(ROWS, c.hidden) * lm.embeddings.std()).half()
    score = torch.zeros(c.layers, c.kv_heads, TOKENS)
    def keep(i, a): score[i] = group_mean(a)
    look(lm, s, tokens.float(), keep)
    t |= {"ids": torch.tensor(ids, dtype=torch.int32), "judgeq.tokens": tokens, "judgeq.score": score}

    # Meta-Soft: features to rows, once without and once with a question
    selector = Selector(tokens.float(), 3, lm.embeddings, 24, 8, 3, g)
    selector.output, selector.value, selector.key = draw(24, 8), draw(8, c.hidden) * 20, draw(8, c.hidden) * 20
    arrays = selector.arrays()
    for name in ("query", "key", "place", "value", "output", "bias"): setattr(selector, name, arrays[f"selector.{name}"].float())
    selector.tokens, selector.library = arrays["tokens"].float(), arrays["library"].float()
    salience = Salience(lm.embeddings, 8, g)
    salience.context, salience.bias = draw(8, c.hidden), draw(8)
    arrays |= salience.arrays()
    salience = Salience.of(lm.embeddings, arrays)
    repeated = ids + ids[5:15]  # so that tokens occur twice
    e = lm.embeddings[repeated]
    for name, question in (("alone", None), ("asked", ids[20:29])):
        features = torch.stack([e.mean(0), e[-1], torch.zeros(c.hidden) if question is None else lm.embeddings[question].mean(0)])
        salient = salience.best(repeated, 3, question)
        t |= {f"metasoft.{name}.features": features, f"metasoft.{name}.logits": selector.logits(features), f"metasoft.{name}.salient": salient.int(),
              f"metasoft.{name}.rows": selector.rows(features, lm.embeddings[salient])}
    t |= {"metasoft.document": torch.tensor(repeated, dtype=torch.int32), "metasoft.question": torch.tensor(ids[20:29], dtype=torch.int32)}
    t |= {f"metasoft.{name}": a for name, a in arrays.items()}

    # IndexMem: scores of the first slots by the last rows
    indexer, asking = Indexer(lm, 2, 4, g), slice(TOKENS - 8, TOKENS)
    indexer.query, indexer.key, indexer.weight = indexer.query * 5, indexer.key * 5, indexer.weight * 5
    indexer.age = torch.rand(c.layers, c.kv_heads, generator=g)
    for name in indexer.norms: indexer.norms[name] = draw(*indexer.norms[name].shape)
    arrays = indexer.arrays()
    for name in ("query", "key", "weight"): setattr(indexer, name, torch.stack([arrays[f"indexer.{i}.{name}"].float() for i in range(c.layers)]))
    indexer.norms = {n: torch.stack([arrays[f"indexer.{i}.{n}"].float() for i in range(c.layers)]) for n in indexer.norms}
    q = torch.stack([lm.project(i, x[i, asking][None])[0][0].transpose(0, 1).flatten(1) for i in range(c.layers)])
    keys, age = indexer.keys(x), torch.arange(TOKENS - 1, -1, -1).float()
    t |= {"indexer.hidden": x, "indexer.keys": keys, "indexer.asking": q, "indexer.score": indexer.scores(keys, q, x[:, asking], age), **arrays}

    # the latent memory: two writes, then a readout
    memory = Memory(lm, 8, g)
    memory.gate, memory.write, memory.decay = draw(c.layers), draw(c.layers), draw(c.layers)
    memory.phi = torch.stack([memory.arrays()[f"memory.{i}.phi"].float() for i in range(c.layers)])
    plain, gone = plain_keys(lm, s), torch.rand(c.layers, c.kv_heads, TOKENS, generator=g) < 0.5
    import training.indexmem as indexmem
    indexmem.SEGMENT = WRITTEN  # the first write holds what is gone of the first 24 slots, the second the rest
    A, b = memory.written(plain, s["V"], gone.float())
    queries = draw(c.layers, c.heads, 3, c.head_dim)
    t |= {"memory.keys": plain, "memory.values": s["V"], "memory.gone": gone.to(torch.uint8), "memory.A": A, "memory.b": b, "memory.queries": queries,
          "memory.readout": memory.read(A, b, queries), **memory.arrays()}
    save_file({name: a.contiguous() for name, a in t.items()}, out,
              dict(fingerprint=fingerprint(model), model=path.split("/")[-1], parameters=json.dumps(dict(rows=ROWS, chosen=3, heads=2, width=4, asking=8, firstWrite=WRITTEN, offset=0))))


if __name__ == "__main__":
    main(*sys.argv[1:])
