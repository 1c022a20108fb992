"""IndexMem (arXiv 2605.25475): an indexer that scores slots in place of attention, and a latent memory of what was evicted.

    python -m training.indexmem MODEL.gguf --sources FOLDER --data FOLDER --out packs/NAME/indexmem.safetensors

Stage 1 distils what the model's own answers attend to into the indexer; stage 2 distils what the answers lose by eviction into the memory. Differs from the
paper: one weight vector per KV head (no score that is the same for all heads of a layer can reach the target), the queries are those of inference (the
chunk's last rows, not the answer's), an age term, and the memory writes and reads keys and queries before RoPE, as compact positions need. README.md has the formulas.
"""
import math, random, time
from pathlib import Path

import torch
import torch.nn.functional as F

from .data import SINKS, WINDOW, arguments, load, opened, quick, read
from .judgeq import figures_of, window_score
from .model import causal
from .pack import describe, write_pack
from .scoring import KEEP, answer_logs, chosen, compare, divergence, grouped, hit_rate, mean_error, oracle, region, table, teacher

QUERIES, SEGMENT = 128, 256  # rows of the chunk that ask; tokens between two writes to the memory


# ---------------------------------------------------------------------------------------------------------------- indexer
def add_hidden(lm, s, folder):
    """The layers' normed inputs of the whole document (`x`, f16), computed once and kept on disk."""
    file = folder / f"hidden-{s['name']}.pt"
    if not file.exists():
        x = torch.zeros(lm.L, s["n"], lm.config.hidden, dtype=torch.float16)
        done = [0] * lm.L
        def note(i, rows):
            if done[i] + len(rows) <= s["n"]: x[i, done[i]:done[i] + len(rows)] = rows.half()  # the window's second pass is left out
            done[i] += len(rows)
        read(lm, s["ids"], 512, hidden=note)
        torch.save(x, file)
    x = torch.load(file, weights_only=True)
    s["x"], s["x_asking"] = x[:, s["d0"]:s["n"] - WINDOW].clone(), x[:, -QUERIES:].clone()
    s["q_asking"] = torch.stack([lm.project(i, s["x_asking"][i][None].float())[0][0].transpose(0, 1).flatten(1) for i in range(lm.L)]).half()


class Indexer:
    """All layers at once: arrays are [L, ...] here and one per layer in the pack."""

    def __init__(self, lm, heads, width, generator):
        c, draw = lm.config, lambda *shape: torch.randn(*shape, generator=generator)
        self.L, self.KV, self.heads, self.width = lm.L, lm.KV, heads, width
        self.query, self.key = draw(lm.L, heads * width, c.heads * c.head_dim) * 0.02, draw(lm.L, width, c.hidden) * 0.02
        self.weight, self.age = draw(lm.L, lm.KV * heads, c.hidden) * 0.02, torch.zeros(lm.L, lm.KV)
        self.norms = {n: torch.ones(lm.L, width) if n.endswith("weight") else torch.zeros(lm.L, width)
                      for n in ("query_norm.weight", "query_norm.bias", "key_norm.weight", "key_norm.bias")}

    def parameters(self):
        return [self.query, self.key, self.weight, self.age, *self.norms.values()]

    def normed(self, name, z):
        """Layer norm over the last dimension; z [L, ..., width]."""
        shape = [self.L] + [1] * (z.dim() - 2) + [self.width]
        return F.layer_norm(z, (self.width,)) * self.norms[name + ".weight"].view(shape) + self.norms[name + ".bias"].view(shape)

    def keys(self, x):
        """[L, m, hidden] -> [L, m, width]: what a slot keeps."""
        return self.normed("key_norm", x @ self.key.transpose(1, 2))

    def scores(self, keys, q, x, age):
        """keys [L, m, width] of slots that stand `age` [m] positions before the last query; asking rows q [L, T, heads · d] before RoPE and x [L, T, hidden]
        -> [L, KV, m], mean over the rows."""
        T = q.shape[1]
        asked = self.normed("query_norm", (q @ self.query.transpose(1, 2)).view(self.L, T, self.heads, self.width))
        weights = (x @ self.weight.transpose(1, 2)).view(self.L, T, self.KV, self.heads) * (self.heads * self.width) ** -0.5
        relu = (asked.flatten(1, 2) @ keys.transpose(1, 2)).relu().view(self.L, T * self.heads, -1)             # [L, T · n_I, m]
        mean = (weights / T).permute(0, 2, 1, 3).reshape(self.L, self.KV, T * self.heads) @ relu
        return mean - self.age[..., None] * torch.log1p(age / 64)

    def arrays(self):
        out = {}
        for i in range(self.L):
            for name, a in dict(query=self.query, key=self.key, weight=self.weight, **self.norms).items(): out[f"indexer.{i}.{name}"] = a[i].detach().half()
            out[f"indexer.{i}.age"] = self.age[i].detach().float()
        return out


def index(indexer, s, rows=QUERIES):
    """Logits [L, KV, m] of the scored slots."""
    m, stride = s["x"].shape[1], max(1, QUERIES // rows)
    age = torch.arange(m, 0, -1).float() + WINDOW - 1
    return indexer.scores(indexer.keys(s["x"].float()), s["q_asking"][:, ::stride].float(), s["x_asking"][:, ::stride].float(), age)


def fit_indexer(lm, indexer, train, valid, mode, steps, rate, seed):
    target = {}
    for at, s in enumerate(train):
        T = grouped(lm, teacher(s, mode))
        target[at] = T / T.sum(-1, keepdim=True)
    for p in indexer.parameters(): p.requires_grad_(True)
    small = [p for p in indexer.parameters() if p.dim() < 3]
    optimiser = torch.optim.AdamW([dict(params=[indexer.query, indexer.key, indexer.weight], base=rate), dict(params=small, base=10 * rate)], weight_decay=0.0)
    r, order, run, began = random.Random(seed), [], [], time.time()
    for step in range(steps + 1):
        if step % max(1, steps // 6) == 0 or step == steps:
            with torch.no_grad(): hit = sum(float(hit_rate(index(indexer, s), s).mean()) for s in valid) / len(valid)
            print(f"indexer ({mode}) step {step:4} train KL {sum(run) / max(1, len(run)):.4f} valid hit {hit:.2f}  {time.time() - began:.0f} s", flush=True)
            run = []
        if step == steps: return hit
        for g in optimiser.param_groups: g["lr"] = g["base"] * min(1, (step + 1) / 10) * (0.05 + 0.475 * (1 + math.cos(math.pi * step / steps)))
        for _ in range(2):
            if not order: order = r.sample(range(len(train)), len(train))
            at = order.pop()
            loss = divergence(index(indexer, train[at], rows=32).softmax(-1), target[at])
            run.append(loss.item()); (loss / 2).backward()
        torch.nn.utils.clip_grad_norm_(indexer.parameters(), 1.0)
        optimiser.step(); optimiser.zero_grad()


# ----------------------------------------------------------------------------------------------------------- latent memory
def evicted(s, score, fraction):
    """[L, KV, n] bool: the scored slots that are not chosen."""
    gone = torch.zeros_like(s["alive"])
    gone[..., s["d0"]:s["n"] - WINDOW] = ~chosen(score, region(s), fraction)
    return gone


@torch.no_grad()
def losses(lm, s, gone):
    """What the answers' rows lose: queries before RoPE and o_full - o_keep, both [L, H, R, d], of every row that writes an answer's token."""
    rows = [q + a for q, a in zip(s["questions"], s["answers"])]
    longest = max(map(len, rows))
    ids = torch.tensor([r + [0] * (longest - len(r)) for r in rows])
    writes = torch.zeros(len(rows), longest, dtype=torch.bool)
    for b, (q, a) in enumerate(zip(s["questions"], s["answers"])): writes[b, len(q) - 1:len(q) + len(a) - 1] = True
    Q, D = [], []
    def mix(i, plain, a, o):
        lost = a * gone[i].repeat_interleave(lm.G, 0)[None, :, None].float()                                    # [B, H, T, n]
        part = (lost.unflatten(1, (lm.KV, lm.G)).flatten(2, 3) @ s["V"][i].float()).view(o.shape)
        mass = lost.sum(-1, keepdim=True).clamp_max(1 - 1e-4)
        delta = o - (o - part) / (1 - mass)
        Q.append(plain.transpose(1, 2)[writes].transpose(0, 1).half()); D.append(delta.transpose(1, 2)[writes].transpose(0, 1).half())
        return o
    lm.forward(lm.embeddings[ids], s["n"] + torch.arange(longest)[None].expand(len(rows), -1), (s["K"], s["V"]), s["alive"], mask=causal(longest), mix=mix)
    return torch.stack(Q), torch.stack(D)


class Memory:
    """All layers at once; the scalars are raw: gate = sigmoid, write = softplus, decay = sigmoid."""

    def __init__(self, lm, width, generator):
        self.KV, self.G = lm.KV, lm.G
        self.phi = torch.randn(lm.L, lm.d, width, generator=generator) * lm.d ** -0.5
        inverse = lambda p: math.log(p / (1 - p))
        self.gate, self.write, self.decay = torch.full((lm.L,), inverse(0.05)), torch.full((lm.L,), math.log(math.expm1(1.0))), torch.full((lm.L,), inverse(0.99))

    def written(self, keys, values, gone, layers=slice(None)):
        """Keys before RoPE and values [L, KV, n, d], evicted segment by segment -> A [L, KV, width, d], b [L, KV, width]."""
        phi, A, b = self.phi[layers], 0.0, 0.0
        write, decay = F.softplus(self.write[layers])[:, None, None, None], torch.sigmoid(self.decay[layers])[:, None, None, None]
        for start in range(0, keys.shape[2], SEGMENT):
            part = slice(start, start + SEGMENT)
            features = (keys[:, :, part] @ phi[:, None]) * gone[:, :, part, None]
            A = decay * A + write * features.transpose(2, 3) @ values[:, :, part]
            b = decay * b + write * features.pow(2).sum(2, keepdim=True).transpose(2, 3)
        return A, b[..., 0]

    def read(self, A, b, q, layers=slice(None)):
        """Queries before RoPE [L, H, R, d] -> gated readout, the same shape."""
        features = q.unflatten(1, (self.KV, self.G)).flatten(2, 3) @ self.phi[layers][:, None]
        out = (features @ A) / (features.pow(2) @ b[..., None]).clamp_min(1e-6)
        return torch.sigmoid(self.gate[layers])[:, None, None, None] * out.view(q.shape)

    def arrays(self):
        out = {}
        for i in range(len(self.gate)):
            out[f"memory.{i}.phi"] = self.phi[i].detach().half()
            for name in ("gate", "write", "decay"): out[f"memory.{i}.{name}"] = getattr(self, name)[i:i + 1].detach().float()
        return out


def plain_keys(lm, s):
    return torch.stack([lm.rotate(K.float(), torch.arange(s["n"]), back=True) for K in s["K"]])


def explained(memory, sample):
    keys, values, gone, Q, D = sample
    out = memory.read(*memory.written(keys.float(), values.float(), gone.float()), Q.float())
    error, whole = (out - D.float()).pow(2).sum((1, 2, 3)), D.float().pow(2).sum((1, 2, 3))
    return error / whole.clamp_min(1e-9)  # [L]


def fit_memory(lm, memory, train, valid, steps, rate, seed):
    scalars = [memory.gate, memory.write, memory.decay]
    for p in [memory.phi, *scalars]: p.requires_grad_(True)
    optimiser = torch.optim.AdamW([dict(params=[memory.phi], base=rate), dict(params=scalars, base=0.05)], weight_decay=0.0)
    r, order, run, began = random.Random(seed), [], [], time.time()
    for step in range(steps + 1):
        if step % max(1, steps // 6) == 0 or step == steps:
            with torch.no_grad(): left = torch.stack([explained(memory, s) for s in valid]).mean(0)
            print(f"memory step {step:4} train {sum(run) / max(1, len(run)):.4f} valid residual left {float(left.mean()):.4f} (best layer {float(left.min()):.4f})  {time.time() - began:.0f} s", flush=True)
            run = []
        if step == steps: return float(left.mean())
        for g in optimiser.param_groups: g["lr"] = g["base"] * min(1, (step + 1) / 10) * (0.05 + 0.475 * (1 + math.cos(math.pi * step / steps)))
        if not order: order = r.sample(range(len(train)), len(train))
        loss = explained(memory, train[order.pop()]).mean()
        run.append(loss.item()); loss.backward()
        torch.nn.utils.clip_grad_norm_([memory.phi], 1.0)
        optimiser.step(); optimiser.zero_grad()


@torch.no_grad()
def logs_with_memory(lm, memory, s, score, fraction=KEEP):
    """As `answer_logs`, with the memory's readout added to the attention's output."""
    gone, keys = evicted(s, score, fraction), plain_keys(lm, s)
    state = memory.written(keys, s["V"].float(), gone.float())
    def mix(i, plain, a, o):
        one = slice(i, i + 1)
        B, H, T, d = o.shape
        q = plain.transpose(0, 1).reshape(1, H, B * T, d)
        return o + memory.read(state[0][one], state[1][one], q, one).view(H, B, T, d).transpose(0, 1)
    return answer_logs(lm, s, score, fraction, mix)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--heads", type=int, help="indexer heads, default: half the query heads, rounded up")
    parser.add_argument("--width", type=int, default=12, help="of an indexer key")
    parser.add_argument("--targets", default="mean", help="what the indexer learns of an answer's rows; the better is taken")
    parser.add_argument("--memory-width", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--memory-steps", type=int, default=300)
    parser.add_argument("--memory-docs", type=int, default=96, help="documents to train the memory on")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--keep", type=float, default=0.125, help="share of the slots that is kept when the memory is trained")
    args = parser.parse_args()
    model, lm, text = opened(args)
    train, valid, held = (load(args.data, part, count, ["whole"]) for part, count in (("train", args.docs), ("valid", args.valid), ("held", args.held_out)))
    began, fast = time.time(), quick(lm, model, args)
    with torch.no_grad():
        for part, samples in (("train", train), ("valid", valid), ("held", held)):
            for i, s in enumerate(samples):
                s["name"] = f"{part}-{i:03}"
                add_hidden(fast if part == "train" else lm, s, Path(args.data))
    print(f"hidden states of {len(train)} + {len(valid)} + {len(held)} documents: {time.time() - began:.0f} s", flush=True)

    heads, best = args.heads or -(-lm.H // 2), None
    checkpoint = args.data / f"indexer-{args.docs}-{heads}-{args.width}-{args.targets}-{args.steps}-{args.rate}-{args.seed}.pt"
    indexer = Indexer(lm, heads, args.width, torch.Generator().manual_seed(args.seed))
    if checkpoint.exists(): best = torch.load(checkpoint, weights_only=True)
    for mode in [] if best else args.targets.split(","):
        for p, fresh in zip(indexer.parameters(), Indexer(lm, heads, args.width, torch.Generator().manual_seed(args.seed)).parameters()): p.data = fresh
        hit = fit_indexer(lm, indexer, train, valid, mode, args.steps, args.rate, args.seed)
        if best is None or hit > best["hit"]: best = dict(hit=hit, mode=mode, arrays=[p.detach().clone() for p in indexer.parameters()])
    torch.save(best, checkpoint)
    for p, trained in zip(indexer.parameters(), best["arrays"]): p.requires_grad_(False).copy_(trained)
    print(f"target {best['mode']}; indexer trained in {time.time() - began:.0f} s", flush=True)

    def residuals(samples):
        out = []
        for s in samples:
            with torch.no_grad(): gone = evicted(s, index(indexer, s), args.keep)
            out.append((plain_keys(lm, s).half(), s["V"], gone, *losses(lm, s, gone)))
        return out
    samples = train[:args.memory_docs]
    train, summary = None, describe(train)
    teaching = residuals(samples)
    samples = None  # several gigabytes
    memory = Memory(lm, args.memory_width, torch.Generator().manual_seed(args.seed))
    left = fit_memory(lm, memory, teaching, residuals(valid), args.memory_steps, 3e-3, args.seed)
    for p in (memory.phi, memory.gate, memory.write, memory.decay): p.requires_grad_(False)
    teaching = None
    print(f"trained in {time.time() - began:.0f} s; gates {[round(float(g), 3) for g in torch.sigmoid(memory.gate)]}", flush=True)

    def score(s): return index(indexer, s)
    slots = math.ceil(args.memory_width * (lm.d + 1) / (2 * lm.d))  # that the memory's bytes would hold, all in float32
    ways = {f"indexer, {slots} slots more": lambda s: answer_logs(lm, s, score(s), extra=slots), "indexer and memory": lambda s: logs_with_memory(lm, memory, s, score(s))}
    result = compare(lm, held, {"snapkv": window_score, "indexer": score}, more=ways)
    print(f"held out: {len(held)} documents, 12.5 % kept\n{table(result, 'snapkv', *list(ways)[:1])}", flush=True)
    validation = {**figures_of(result, ("full cache", *result)), "residual left %": 100 * left}
    write_pack(args.out, "indexmem", model, {**indexer.arrays(), **memory.arrays()}, data=summary, seed=args.seed, validation=validation,
               parameters=dict(heads=heads, width=args.width, queries=QUERIES, sinks=SINKS, memoryWidth=args.memory_width))


if __name__ == "__main__":
    main()
