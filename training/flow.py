"""Attention flow as the tool has it (core/compensate/flow.ts): what is evicted goes into the kept slots that are most like it, with its mass."""
import math

import torch

from .data import WINDOW
from .scoring import KEEP, chosen, region

RECEIVERS, TEMPERATURE, SHARE = 4, 0.1, 0.25


@torch.no_grad()
def flowed(s, score, fraction=KEEP):
    """The sample with values and logit biases after flow; score [L, KV, m]: the slots' mass, which also chooses who stays."""
    alive, scored = region(s), slice(s["d0"], s["n"] - WINDOW)
    keep = chosen(score, alive, fraction)
    gone = score.masked_fill(keep | ~alive, -math.inf)
    count = math.ceil(SHARE * int((~keep & alive).sum()))
    flows = torch.zeros(gone.numel(), dtype=torch.bool).scatter_(0, gone.flatten().topk(count).indices, True).view(gone.shape)
    V, bias = s["V"].float(), torch.zeros(s["alive"].shape)
    for layer, head in torch.cartesian_prod(*map(torch.arange, keep.shape[:2])).tolist():
        stays, goes = keep[layer, head].nonzero()[:, 0], flows[layer, head].nonzero()[:, 0]
        if not len(goes) or not len(stays): continue
        K, mass, values = s["K"][layer, head, scored].float(), score[layer, head], V[layer, head, scored]
        K = K / K.norm(dim=-1, keepdim=True)
        best, at = (K[goes] @ K[stays].T).topk(min(RECEIVERS, len(stays)), -1)
        weights = (best / TEMPERATURE).softmax(-1)
        load = torch.zeros(len(stays)).index_add(0, at.flatten(), weights.flatten())
        weights = weights / (load[at] + 1e-6)
        flow = weights / weights.sum(-1, keepdim=True) * torch.minimum(mass[goes][:, None], mass[stays][at])
        received = torch.zeros(len(stays)).index_add(0, at.flatten(), flow.flatten())
        moved = torch.zeros(len(stays), V.shape[-1]).index_add(0, at.flatten(), (flow[..., None] * values[goes][:, None]).flatten(0, 1))
        own = mass[stays]
        values[stays] = (own[:, None] * values[stays] + moved) / (own + received)[:, None]
        bias[layer, head, s["d0"] + stays] = torch.log1p(received / own)
    return {**s, "V": V, "bias": bias}
