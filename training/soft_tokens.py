"""Trains rows of embeddings so that they attend to a cache as answers do: the loop that Judge Q and Meta-Soft share."""
import math, random, time

import torch

from .data import WINDOW
from .scoring import attention, divergence, grouped, hit_rate, teacher


def held_out(lm, rows_of, samples):
    """KL and hit rate on samples that are not trained on; {form: (kl, hit)} for documents read whole and chunk by chunk."""
    out = {}
    with torch.no_grad():
        for s in samples:
            S = attention(lm, rows_of(s), s)
            out.setdefault("chunks" if s["times"] else "whole", []).append((float(divergence(S, teacher(s))), float(hit_rate(grouped(lm, S), s).mean())))
    return {form: tuple(sum(z) / len(z) for z in zip(*v)) for form, v in out.items()}


def fit(lm, parameters, rows_of, train, valid, *, steps, rate, batch=4, seed=1, penalty=None, every=50, at_step=None, rates=None, clip=1.0):
    """Adam with a cosine schedule on KL(answers || soft rows). rows_of(sample) -> [k, hidden]. Returns the curve [(step, train KL, valid)]."""
    groups = [dict(params=[p], lr=0.0) for p in parameters]
    optimiser, r, order, run, curve, began = torch.optim.Adam(groups, betas=(0.9, 0.98)), random.Random(seed), [], [], [], time.time()
    def report(step):
        figures = held_out(lm, rows_of, valid)
        curve.append((step, sum(run) / len(run) if run else float("nan"), figures))
        text = "  ".join(f"{form}: KL {kl:.4f} hit {hit:.2f}" for form, (kl, hit) in figures.items())
        print(f"step {step:4} train KL {curve[-1][1]:.4f}  {text}  {time.time() - began:.0f} s", flush=True)
        run.clear()
    report(0)
    for step in range(steps):
        if at_step: at_step(step / steps)
        factor = min(1, (step + 1) / 5) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for i, g in enumerate(optimiser.param_groups): g["lr"] = (rates[i] if rates else rate) * factor
        for _ in range(batch):
            if not order: order = r.sample(range(len(train)), len(train))
            s = train[order.pop()]
            loss = divergence(attention(lm, rows_of(s), s), teacher(s))
            run.append(loss.item())
            if penalty: loss = loss + penalty()
            (loss / batch).backward()
        torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimiser.step(); optimiser.zero_grad()
        if (step + 1) % every == 0 or step + 1 == steps: report(step + 1)
    return curve
