"""Trains rows of embeddings so that they attend to a cache as answers do: the loop that Judge Q and Meta-Soft share."""
import math, random, time

import torch

from .scoring import attention, divergence, grouped, hit_rate, oracle, teacher


def look_loss(lm, rows_of, s, question):
    """KL and score of the rows for a sample, and for one of its questions or (None) for all of them, unknown to the rows."""
    S = attention(lm, rows_of(s, question), s)
    if question is None: return divergence(S, teacher(s)), grouped(lm, S)
    return divergence(grouped(lm, S), oracle(s)[:, question]), grouped(lm, S)


def validate(lm, rows_of, samples, asked):
    """KL and hit rate on samples that are not trained on: {form: (kl, hit)} for documents read whole and chunk by chunk, and with a known question."""
    out = {}
    with torch.no_grad():
        for i, s in enumerate(samples):
            kl, score = look_loss(lm, rows_of, s, None)
            out.setdefault("chunks" if s["times"] else "whole", []).append((float(kl), float(hit_rate(score, s).mean())))
            if not asked: continue
            question = i % len(s["questions"])
            kl, score = look_loss(lm, rows_of, s, question)
            out.setdefault("asked", []).append((float(kl), float(hit_rate(score, s)[:, question].mean())))
    return {form: tuple(sum(z) / len(z) for z in zip(*v)) for form, v in out.items()}


def fit(lm, parameters, rows_of, train, valid, *, steps, rates, batch=4, seed=1, penalty=None, every=50, at_step=None, asked=0.0, clip=1.0):
    """Adam with a cosine schedule on KL(answers || soft rows). rows_of(sample, number of the known question or None) -> [k, hidden]; a question is known
    in the share `asked` of the draws."""
    groups = [dict(params=[p], lr=0.0) for p in parameters]
    optimiser, r, order, run, began = torch.optim.Adam(groups, betas=(0.9, 0.98)), random.Random(seed), [], [], time.time()
    def report(step):
        figures = validate(lm, rows_of, valid, asked)
        text = "  ".join(f"{form}: KL {kl:.4f} hit {hit:.2f}" for form, (kl, hit) in figures.items())
        print(f"step {step:4} train KL {sum(run) / len(run) if run else float('nan'):.4f}  {text}  {time.time() - began:.0f} s", flush=True)
        run.clear()
    report(0)
    for step in range(steps):
        if at_step: at_step(step / steps)
        factor = min(1, (step + 1) / 5) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for rate, g in zip(rates, optimiser.param_groups): g["lr"] = rate * factor
        for _ in range(batch):
            if not order: order = r.sample(range(len(train)), len(train))
            s = train[order.pop()]
            loss, _ = look_loss(lm, rows_of, s, r.randrange(len(s["questions"])) if r.random() < asked else None)
            run.append(loss.item())
            if penalty: loss = loss + penalty()
            (loss / batch).backward()
        torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimiser.step(); optimiser.zero_grad()
        if (step + 1) % every == 0 or step + 1 == steps: report(step + 1)
