"""From attention rows to a score for each slot, and how good a score is: the hit rate against the oracle and the answer's NLL with slots evicted."""
import math

import torch
import torch.nn.functional as F

from .data import WINDOW, look
from .model import MASKED, causal

KEEP = 0.125


def region(s):
    """Which slots [L, KV, m] of a sample's document are alive; only these are scored, the last WINDOW never are."""
    return s["alive"][..., s["d0"]:s["n"] - WINDOW]


def attention(lm, rows, s):
    """Attention of soft rows [k, hidden] on the scored slots, mean over the rows: [L, H, m]; differentiable in the rows."""
    maps = []
    look(lm, s, rows, lambda i, a: maps.append(a[..., s["d0"]:s["n"] - WINDOW].flatten(0, 1).mean(1)))
    return torch.stack(maps)


def teacher(s, name="mean"):
    """What the answers attended to [L, H, m]; the mean over the questions has the same gradient as the questions one by one."""
    return s[name][..., s["d0"]:s["n"] - WINDOW].float()


def divergence(S, T):
    """KL of distributions renormalised on the scored slots, mean over layers and heads."""
    S, T = S / S.sum(-1, keepdim=True), T / T.sum(-1, keepdim=True)
    return (T * ((T + 1e-9).log() - (S + 1e-9).log())).sum(-1).mean()


def grouped(lm, a):
    """[..., H, m] -> [..., KV, m], mean over the heads of a group."""
    return a.unflatten(-2, (lm.KV, lm.G)).mean(-2)


def chosen(score, alive, fraction=KEEP, extra=0):
    """The best slots of every head: bool [..., KV, m], as many as `fraction` of the scored slots, and `extra`."""
    count = int(score.shape[-1] * fraction) + extra
    return torch.zeros_like(score, dtype=torch.bool).scatter_(-1, score.masked_fill(~alive, -math.inf).topk(count, -1).indices, True)


def oracle(s):
    """What each question's answer attended to: [L, Q, KV, m]."""
    return s["each"][..., s["d0"]:s["n"] - WINDOW].float()


def hit_rate(score, s, fraction=KEEP):
    """Percent of the slots [L, Q] of each question's oracle that a score [L, KV, m] finds, mean over heads."""
    alive, T = region(s), oracle(s)
    pick, best = chosen(score, alive, fraction), chosen(T, alive[:, None].expand_as(T), fraction)
    return 100 * (pick[:, None] & best).sum(-1).float().mean(-1) / int(score.shape[-1] * fraction)


@torch.no_grad()
def answer_logs(lm, s, score=None, fraction=KEEP, mix=None, extra=0):
    """Log probabilities [tokens, vocab] of the full cache's answers, one after the other, with all scored slots but the chosen ones (a fraction, and
    `extra` per head) evicted; without a score, of the cache as it is."""
    alive = s["alive"].clone()
    if score is not None: alive[..., s["d0"]:s["n"] - WINDOW] &= chosen(score, region(s), fraction, extra)
    rows = [q + a for q, a in zip(s["questions"], s["answers"])]
    longest = max(map(len, rows))
    ids = torch.tensor([r + [0] * (longest - len(r)) for r in rows])
    x = lm.forward(lm.embeddings[ids], s["n"] + torch.arange(longest)[None].expand(len(rows), -1), (s["K"], s["V"]), alive, mask=causal(longest), mix=mix, bias=s.get("bias"))
    return torch.cat([lm.logits(x[b, len(q) - 1:len(q) + len(a) - 1]) for b, (q, a) in enumerate(zip(s["questions"], s["answers"]))]).log_softmax(-1)


def losses_of(logs, s, full=None):
    """(NLL, KL to the full cache's `full`) per token, means over the questions."""
    tokens = torch.tensor([t for a in s["answers"] for t in a])
    lengths = [len(a) for a in s["answers"]]
    mean = lambda v: float(torch.stack([part.mean() for part in v.split(lengths)]).mean())
    return mean(F.nll_loss(logs, tokens, reduction="none")), None if full is None else mean((full.exp() * (full - logs)).sum(-1))


def mean_error(values):
    """Mean and standard error."""
    v = torch.tensor(values)
    return float(v.mean()), float(v.std() / max(1, len(v)) ** 0.5) if len(v) > 1 else 0.0


def compare(lm, samples, scorers, nll=True, more=None):
    """Hit rate at KEEP, NLL and KL of every scorer {name: f(sample) -> [L, KV, m]}, means per document: {name: {figure: [per document]}}.
    more: {name: f(sample) -> log probabilities as `answer_logs`} of ways that are no scorers."""
    out = {}
    def note(name, figure, value): out.setdefault(name, {}).setdefault(figure, []).append(value)
    def lose(name, logs):
        loss, kl = losses_of(logs, s, full)
        note(name, "nll", loss); note(name, "kl", kl)
    for s in samples:
        if nll:
            full = answer_logs(lm, s)
            note("full cache", "nll", losses_of(full, s)[0])
        for name, scorer in scorers.items():
            with torch.no_grad(): score = scorer(s)
            hits = hit_rate(score, s)
            note(name, "hit", float(hits.mean())); note(name, "hit " + s["kind"], float(hits.mean()))
            if nll: lose(name, answer_logs(lm, s, score))
        for name, logs in (more or {}).items(): lose(name, logs(s))
    return out


def table(figures, *references):
    """A plain text table of `compare`: means, standard errors, and the paired differences to each reference."""
    form = dict(hit="{:6.2f} ({:.2f})", nll="{:.4f} ({:.4f})", kl="{:.4f} ({:.4f})")
    lines = []
    for name, row in figures.items():
        cells = [f"{key} {form[key].format(*mean_error(row[key]))}" for key in form if key in row]
        lines.append(f"{name:30} " + "  ".join(cells) + "   " + " ".join(f"{k[4:]} {mean_error(v)[0]:.1f}" for k, v in row.items() if k.startswith("hit ")))
    for reference in references:
        for name, row in figures.items():
            base = figures.get(reference, {})
            cells = [f"{key} {form[key].replace('6.2f', '+6.2f').replace('{:.4f} ', '{:+.4f} ').format(*mean_error([a - b for a, b in zip(row[key], base[key])]))}"
                     for key in form if key in row and key in base]
            if name != reference and cells: lines.append(f"{name + ' - ' + reference:50} " + "  ".join(cells))
    return "\n".join(lines)
