"""Teacher data: documents read by the model, the answers that it writes about them, and what these answers attend to.

    python -m training.data MODEL.gguf --sources FOLDER --data FOLDER [--docs 48] [--held-out 20] [--seed 1]

One file per document; a run that was interrupted goes on where it stopped. Every second document is also read as inference reads: chunk by chunk,
the cache compacted after each by the untrained role probe, so that it has been compressed several times before the last chunk arrives.
"""
import argparse, json, random, time
from pathlib import Path

import torch

from . import sources
from .documents import document
from .gguf_file import open_model
from .model import MASKED, Llama, causal
from .tokenizer import Text

WINDOW, SINKS = 32, 4  # kept by every policy, so never scored
ROLE_ROWS, ANSWER_TOKENS = 32, 32
KINDS = ["address", "essay", "manual", "code", "mail", "list"]
OPENING = "The text describes the following: The answer is that, according to the text, the main point is"


def role_tokens(text, rows=ROLE_ROWS):
    """core/probe/role.ts: the start of an assistant's turn and the first words of any answer, over and over."""
    cycle = text.encode(text.answer_start) + text.encode(OPENING)
    return [cycle[i % len(cycle)] for i in range(rows)]


def look(lm, sample, rows, see):
    """Forwards rows [k, hidden] where an answer would begin; see(layer, their attention [KV, G, k, n])."""
    positions = sample["n"] + torch.arange(rows.shape[0])[None]
    lm.forward(rows[None], positions, (sample["K"], sample["V"]), sample["alive"], mask=causal(rows.shape[0]), see=lambda i, a: see(i, a[0]))


def group_mean(a):
    """[KV, G, rows, n] -> [KV, n]"""
    return a.mean(2).mean(1)


@torch.no_grad()
def read(lm, ids, chunk, budget=None, probe=None, hidden=None):
    """The cache after reading ids; with a budget, compacted after every chunk but the last by the rows of `probe`. Also SnapKV's score of the last WINDOW rows."""
    c, n = lm.config, len(ids)
    K, V = torch.zeros(c.layers, c.kv_heads, n, c.head_dim), torch.zeros(c.layers, c.kv_heads, n, c.head_dim)
    alive, window, times = torch.ones(c.layers, c.kv_heads, n, dtype=torch.bool), torch.zeros(c.layers, c.kv_heads, n), 0
    ends = [*range(chunk, n - WINDOW, chunk), n]
    for start, end in zip([0, *ends], ends):
        context = (K[:, :, :start], V[:, :, :start]) if start else None
        tail = [None] * lm.L
        x = lm.forward(lm.embeddings[ids[start:end]][None], torch.arange(start, end)[None], context, alive[:, :, :start], tail, causal(end - start),
                       hidden=hidden and (lambda i, x: hidden(i, x[0])))
        for i, (k, v) in enumerate(tail): K[i, :, start:end], V[i, :, start:end] = k[0], v[0]
        if end == n: break
        if budget is not None and end > budget:
            score = torch.zeros(c.layers, c.kv_heads, end)
            def note(i, a): score[i] = group_mean(a)
            look(lm, dict(n=end, K=K[:, :, :end], V=V[:, :, :end], alive=alive[:, :, :end]), probe, note)
            score[~alive[:, :, :end]] = -1.0
            score[:, :, :SINKS], score[:, :, end - WINDOW:] = 2.0, 2.0
            keep = torch.zeros_like(score, dtype=torch.bool).scatter_(-1, score.topk(min(budget, end), -1).indices, True)
            alive[:, :, :end] &= keep
            times += 1
    # the window's own attention: forwarded once more over what stands before it
    first, tail = n - WINDOW, [None] * lm.L
    def note(i, a): window[i, :, :first] = group_mean(a[0])
    lm.forward(lm.embeddings[ids[first:]][None], torch.arange(first, n)[None], (K[:, :, :first], V[:, :, :first]), alive[:, :, :first], tail, causal(WINDOW), see=note)
    return dict(K=K.half(), V=V.half(), alive=alive, window=window.half(), times=times, last=lm.logits(x[0, -1]))


@torch.no_grad()
def ask(lm, text, sample, questions, answers=None):
    """Greedy answers to all questions at once (or the given ones again), and what the rows that write them attend to."""
    c, n, B = lm.config, sample["n"], len(questions)
    longest = max(map(len, questions))
    pad = torch.tensor([longest - len(q) for q in questions])
    ids = torch.tensor([[0] * (longest - len(q)) + q for q in questions])
    step = torch.arange(longest)
    bad = step[None] < pad[:, None]
    mask = causal(longest) + bad[:, None] * MASKED
    mask[bad] = 0.0  # rows of padding: anything finite
    mean, most = torch.zeros(c.layers, B, c.heads, n), torch.zeros(c.layers, B, c.heads, n)
    def first(i, a):
        a = a.flatten(1, 2)[:, :, -1]  # the row that writes the first token
        mean[i] += a; most[i] = a
    context, tail = (sample["K"], sample["V"]), [None] * lm.L
    x = lm.forward(lm.embeddings[ids], n + step[None] - pad[:, None], context, sample["alive"], tail, mask, first)
    written, live, rows = [[] for _ in questions], torch.ones(B), torch.ones(B)
    given = answers or []
    for at in range(ANSWER_TOKENS):
        token = lm.logits(x[:, -1]).argmax(-1) if not answers else torch.tensor([a[min(at, len(a) - 1)] for a in given])
        for b in range(B):
            if live[b]:
                written[b].append(int(token[b]))
                if int(token[b]) in text.ends or (answers and len(written[b]) == len(given[b])): live[b] = 0
        if at == ANSWER_TOKENS - 1 or not live.any(): break
        def later(i, a):
            a = a.flatten(1, 2)[:, :, 0] * live[:, None, None]
            mean[i] += a; most[i] = torch.maximum(most[i], a)
        rows += live
        padded = torch.nn.functional.pad(bad.float() * MASKED, (0, at + 1))[:, None]
        x = lm.forward(lm.embeddings[token][:, None], (n + longest + at - pad)[:, None], context, sample["alive"], tail, padded, later)
    return written, mean / rows[None, :, None, None], most


def make(lm, text, texts, kind, seed, compressed):
    """The samples of one document: read at once, and (when `compressed`) chunk by chunk under a budget as well."""
    r = random.Random(seed)
    words, sentence, asks = document(r, kind, texts.get(kind), text.encode)
    head = text.encode(text.head)
    ids, questions = head + text.encode(words), [text.question(q) for _, q in asks]
    n, at = len(ids), words.find(sentence)
    fact = (len(head) + len(text.encode(words[:at])), len(head) + len(text.encode(words[:at + len(sentence)])))
    common = dict(kind=kind, ids=ids, d0=len(head), n=n, questions=questions, asks=[k for k, _ in asks], fact=fact)
    out, answers = {}, None
    for form in ["whole", "chunks"][:1 + compressed]:
        rule = {} if form == "whole" else dict(chunk=r.choice([128, 192, 256]), budget=int(n * r.choice([0.15, 0.25, 0.4])), probe=lm.embeddings[role_tokens(text)])
        cache = read(lm, ids, **(rule or dict(chunk=512)))
        cache.pop("last")
        sample = {**common, **cache}
        answers, mean, most = ask(lm, text, sample, questions, answers)
        grouped = mean.unflatten(2, (lm.KV, lm.G)).mean(3)  # [L, Q, KV, n]
        sample.update(answers=answers, mean=mean.mean(1).half(), max=most.mean(1).half(), each=grouped.half(), rule={k: v for k, v in rule.items() if k != "probe"})
        out[form] = sample
    return out


def split(kinds):
    """Texts to train on and texts held out: the last fifth, of the texts or (when they are few) of each."""
    r, train, held = random.Random(0), {}, {}
    for kind, texts in kinds.items():
        if len(texts) < 5: train[kind], held[kind] = [t[:len(t) * 4 // 5] for t in texts], [t[len(t) * 4 // 5:] for t in texts]
        else:
            mixed = r.sample(texts, len(texts))
            train[kind], held[kind] = mixed[:len(mixed) * 4 // 5], mixed[len(mixed) * 4 // 5:]
    return train, held


def prepare(model, lm, text, args):
    """Makes what is missing of the data; the folder then holds train-*.pt, valid-*.pt (to choose by) and held-*.pt (to report)."""
    args.data.mkdir(parents=True, exist_ok=True)
    train, held = split(sources.read(args.sources))
    jobs = [(i / count, part, texts, i) for part, texts, count in (("held", held, args.held_out), ("valid", held, args.valid), ("train", train, args.docs))
            for i in range(count)]
    fast, began = quick(lm, model, args), time.time()
    for _, part, texts, i in sorted(jobs, key=lambda job: job[0]):  # all parts grow alike
        file = args.data / f"{part}-{i:03}.pt"
        if file.exists(): continue
        t0 = time.time()
        samples = make(lm if part == "held" else fast, text, texts, KINDS[i % len(KINDS)], f"{args.seed} {part} {i}", compressed=i // len(KINDS) % 2 == (1 if part == "held" else 0))
        torch.save(samples, file.with_suffix(".part"))
        file.with_suffix(".part").rename(file)
        s = samples["whole"]
        line = dict(file=file.name, kind=s["kind"], tokens=s["n"], compressed=samples.get("chunks", {}).get("times", 0), seconds=round(time.time() - t0, 1), total=round(time.time() - began))
        print(json.dumps(line), text.bpe.decode(s["answers"][0])[:60].replace("\n", " "), flush=True)


def quick(lm, model, args):
    """The decoder that training uses: with bfloat16 matrices if wished."""
    return Llama(model).cast(torch.bfloat16) if args.bfloat16 else lm


def load(folder, part, limit=None, forms=("whole", "chunks")):
    """Samples of a part in order, keys and values in f16; what is not looked at stays on the disk."""
    files = sorted(Path(folder).glob(f"{part}-*.pt"))[:limit]
    return [sample for file in files for form, sample in torch.load(file, weights_only=True, mmap=True).items() if form in forms]


def arguments(description):
    """The flags that all commands share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="the GGUF file that the tool uses")
    parser.add_argument("--sources", type=Path, default=Path("training-sources"), help="folder of the fetched texts")
    parser.add_argument("--data", type=Path, default=Path("training-data"), help="folder of the teacher data; made when documents are missing")
    parser.add_argument("--docs", type=int, default=144, help="documents to train on")
    parser.add_argument("--valid", type=int, default=12, help="documents, of the texts held out, that show how training goes")
    parser.add_argument("--held-out", type=int, default=24, help="other documents of these texts, for the figures in the end")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="one per core that is really free: threads that wait for a busy core cost more than they bring")
    parser.add_argument("--bfloat16", action="store_true", help="read the documents to train on, and train, with bfloat16 matrices; quicker where the processor has them")
    return parser


def opened(args):
    """Model file, decoder and tokenizer; sources and data are there afterwards."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    model = open_model(args.model)
    lm, text = Llama(model), Text(model)
    parts = dict(train=args.docs, valid=args.valid, held=args.held_out)
    if any(len(list(args.data.glob(f"{part}-*.pt"))) < count for part, count in parts.items()):
        sources.fetch(args.sources)
        prepare(model, lm, text, args)
    return model, lm, text


if __name__ == "__main__":
    opened(arguments(__doc__).parse_args())
