#!/usr/bin/env python3
"""kvpress on the documents of samples.ts: which of its methods still find the needle in a compressed cache?

    python peer.py --model SmolLM2-135M-Instruct.Q4_1.gguf --samples samples.jsonl --out kvpress.jsonl --ratio 0.75

Appends a line of JSON per document and method, goes on where an earlier run stopped, and prints a table. README.md says what is compared.
"""
import argparse
import json
import math
import os
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch
import transformers
from kvpress import AdaKVPress, CriticalAdaKVPress, ExpectedAttentionPress, KeyDiffPress, KVPressTextGenerationPipeline, SnapKVPress
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_grad_enabled(False)

# Each press with kvpress's own defaults; only the ratio is given.
PRESSES = {
    "snapkv": lambda ratio: SnapKVPress(ratio),
    "adakv": lambda ratio: AdaKVPress(SnapKVPress(ratio)),
    "criticalada": lambda ratio: CriticalAdaKVPress(SnapKVPress(ratio)),
    "expected": lambda ratio: ExpectedAttentionPress(ratio),
    "keydiff": lambda ratio: KeyDiffPress(ratio),
}
AWARE = "-aware"
METHODS = ["full", "snapkv", "adakv", "criticalada", "expected", "keydiff", "snapkv" + AWARE, "criticalada" + AWARE]


# ----------------------------------------------------------------------------- the model
def load(path):
    """Weights dequantised to float32. Presses that mask instead of evicting refuse the eager attention."""
    where = dict(pretrained_model_name_or_path=str(path.parent), gguf_file=path.name)
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32, attn_implementation="sdpa").eval()
    for layer in model.model.layers:  # what a press does on entering; ours are called without entering
        layer.self_attn.rotary_emb = model.model.rotary_emb
    return model, AutoTokenizer.from_pretrained(**where)


def attentions(model):
    return [layer.self_attn for layer in model.model.layers]


@contextmanager
def hooks(model, hook):
    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in attentions(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class Prefill:
    """One forward pass of a context, from which every press makes its own compressed cache.

    A press compresses a layer's cache after that layer has attended, so it changes no other layer's input: its hook, called later with the same arguments,
    gives the same cache as a pass of its own (--check asserts that they are equal to the bit).
    """

    def __init__(self, model, ids):
        self.model, self.ids, self.calls = model, ids, []
        self.cache = DynamicCache()
        with hooks(model, lambda module, args, kwargs, output: self.calls.append((kwargs, output))):
            model.model(input_ids=torch.tensor([ids]), past_key_values=self.cache)

    def compressed(self, press):
        cache = DynamicCache()
        for index, layer in enumerate(self.cache.layers):
            cache.update(layer.keys.clone(), layer.values.clone(), index)
        for module in attentions(self.model):
            module.masked_key_indices = None
        if press is not None:
            press.post_init_from_model(self.model)
            for module, (kwargs, output) in zip(attentions(self.model), self.calls, strict=True):
                press.forward_hook(module, [], {**kwargs, "past_key_values": cache}, output)
        return cache


def decode(model, tokenizer, cache, context, ids, tokens):
    """kvpress's own greedy decoding: all of `ids` at once, at positions from `context` on, then one token at a time."""
    self = SimpleNamespace(model=model, tokenizer=tokenizer)
    return KVPressTextGenerationPipeline.generate_answer(self, torch.tensor([ids]), cache, context, tokens)


def kept(model, cache):
    """Mean number of cached tokens per head that get attention."""
    heads = cache.layers[0].keys.shape[1]
    total = 0
    for module, layer in zip(attentions(model), cache.layers):
        masked = getattr(module, "masked_key_indices", None)
        total += heads * layer.keys.shape[2] - (0 if masked is None else len(masked[0]))
    return total / heads / len(cache.layers)


# ----------------------------------------------------------------------------- measuring
def measure(model, tokenizer, sample, methods, ratio, max_tokens):
    prefills = {}
    for method in methods:
        started = time.perf_counter()
        aware = method.endswith(AWARE)
        context = sample["head"] + (sample["question"] if aware else [])
        if aware not in prefills:
            prefills[aware] = Prefill(model, context)
        press = None if method == "full" else PRESSES[method.removesuffix(AWARE)](ratio)
        cache = prefills[aware].compressed(press)
        slots = kept(model, cache)
        rest = ([] if aware else sample["question"]) + sample["rest"]
        answer = decode(model, tokenizer, cache, len(context), rest, max_tokens)
        yield dict(document=sample["id"], method=method, ratio=0.0 if press is None else ratio, correct=sample["value"] in answer, value=sample["value"],
                   depth=sample["depth"], context=len(context), kept=round(slots, 2), answer=answer, seconds=round(time.perf_counter() - started, 2))


def check(model, sample, methods, ratio):
    """Asserts on one document that a shared prefill gives what a pass of a press's own gives, and that what is evicted no longer counts."""
    shared = {}
    for method in methods:
        aware = method.endswith(AWARE)
        ids, rest = sample["head"] + (sample["question"] if aware else []), ([] if aware else sample["question"]) + sample["rest"]
        if aware not in shared:
            shared[aware] = Prefill(model, ids)
        if method == "full":
            together = model(input_ids=torch.tensor([ids + rest]), logits_to_keep=1).logits[0, -1]
            close(together, step(model, shared[aware].compressed(None), rest, len(ids)), "prompt in two passes")
            print("full: prompt in one pass and in two agree", flush=True)
            continue
        own, press = DynamicCache(), PRESSES[method.removesuffix(AWARE)](ratio)
        with press(model):
            model.model(input_ids=torch.tensor([ids]), past_key_values=own)
        own_masks = [getattr(module, "masked_key_indices", None) for module in attentions(model)]
        cache = shared[aware].compressed(press)
        for module, mine, theirs, mask in zip(attentions(model), cache.layers, own.layers, own_masks, strict=True):
            assert torch.equal(mine.keys, theirs.keys) and torch.equal(mine.values, theirs.values), f"{method}: other cache in layer {module.layer_idx}"
            masks = module.masked_key_indices
            assert (masks is None) == (mask is None), method
            assert mask is None or all(torch.equal(a, b) for a, b in zip(masks, mask)), f"{method}: other mask in layer {module.layer_idx}"
            if mask is not None:
                theirs.values[mask] = 1e4
        slots = kept(model, cache)
        at_once = step(model, cache, rest, len(ids))
        for i, token in enumerate(rest):
            one_by_one = step(model, own, [token], len(ids) + i)
        close(at_once, one_by_one, f"{method}: other values in evicted places, and the rest token by token")
        print(f"{method}: as a pass of its own, {slots:.1f} of {len(ids)} tokens kept per head", flush=True)


def step(model, cache, ids, position):
    positions = torch.arange(position, position + len(ids))[None]
    return model(input_ids=torch.tensor([ids]), past_key_values=cache, position_ids=positions, logits_to_keep=1).logits[0, -1]


def close(a, b, what):
    distance = (a - b).abs().max().item()
    assert distance < 1e-3, f"{what}: logits differ by {distance}"


# ----------------------------------------------------------------------------- report
def wilson(hits, count):
    """Share with its 95 % interval, in percent."""
    z, p = 1.96, hits / count
    d = 1 + z * z / count
    centre, half = (p + z * z / (2 * count)) / d, z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count)) / d
    return 100 * p, 100 * max(0, centre - half), 100 * min(1, centre + half)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line] if path.exists() else []


def table(results, ours, docs):
    print("| side | method | sees the question | kept | documents | correct | 95 % interval |\n| --- | --- | --- | --- | --- | --- | --- |")

    def row(side, method, aware, slots, rows):
        share, low, high = wilson(sum(r["correct"] for r in rows), len(rows))
        print(f"| {side} | {method} | {aware} | {slots} | {len(rows)} | {sum(r['correct'] for r in rows)} ({share:.0f} %) | {low:.0f}–{high:.0f} % |")

    for method in METHODS:
        rows = [r for r in results if r["method"] == method]
        if rows:
            aware = "yes" if method.endswith(AWARE) else "-" if method == "full" else "no"
            row("kvpress", method.removesuffix(AWARE), aware, f"{sum(r['kept'] for r in rows) / len(rows):.0f}", rows)
    values = {r["document"]: r["value"] for r in results}
    for policy in dict.fromkeys(r["policy"] for r in ours):
        rows = [r for r in ours if r["policy"] == policy and r["document"] in values and r["document"] < docs]
        assert all(r["value"] == values[r["document"]] for r in rows), "The results of --ours are of other documents"
        if rows:
            row("ours", policy, "", "", rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True, help="GGUF file")
    parser.add_argument("--samples", type=Path, default=Path("samples.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("kvpress.jsonl"))
    parser.add_argument("--ratio", type=float, default=0.75, help="share that is removed")
    parser.add_argument("--docs", type=int, default=10**9, help="only the first so many documents")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ours", type=Path, help="results of bench/needles.ts on the same documents, for the table")
    parser.add_argument("--check", action="store_true", help="check shared prefill and eviction on the first document, and end")
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    methods = flags.methods.split(",")
    unknown = set(methods) - set(METHODS)
    if unknown:
        parser.error(f"unknown methods {sorted(unknown)}, there are {METHODS}")

    samples = lines(flags.samples)[: flags.docs]
    results = [r for r in lines(flags.out) if r["method"] == "full" or r["ratio"] == flags.ratio]
    done = {(r["document"], r["method"]) for r in results}
    todo = {sample["id"]: [method for method in methods if (sample["id"], method) not in done] for sample in samples}
    if flags.check or any(todo.values()):
        model, tokenizer = load(flags.model)
    if flags.check:
        check(model, samples[0], methods, flags.ratio)
        return
    with flags.out.open("a") as out:
        for sample in samples:
            for result in measure(model, tokenizer, sample, todo[sample["id"]], flags.ratio, flags.max_tokens) if todo[sample["id"]] else []:
                results.append(result)
                out.write(json.dumps(result) + "\n")
                out.flush()
    wanted = {sample["id"]: sample["value"] for sample in samples}
    results = [r for r in results if r["document"] in wanted]
    assert all(r["value"] == wanted[r["document"]] for r in results), f"{flags.out} has results of other documents"
    table(results, lines(flags.ours) if flags.ours else [], len(samples))


if __name__ == "__main__":
    main()
