"""Judge Q (arXiv 2509.10798): k embeddings that no vocabulary has, trained to attend to the cache as the model's own answers do.

    python -m training.judgeq MODEL.gguf --sources FOLDER --data FOLDER --out packs/NAME/judgeq.safetensors

Differs from the paper: KL over the distribution renormalised on the document in place of the squared error, the tokens begin as the untrained role
probe (core/probe/role.ts), and the context's cache is frozen, so that a step costs k rows.
"""
import time

import torch

from .data import ROLE_ROWS, arguments, load, opened, quick, role_tokens
from .pack import describe, write_pack
from .scoring import attention, compare, grouped, mean_error, table
from .soft_tokens import fit


def window_score(s):
    """SnapKV's score without pooling: [L, KV, m]."""
    return s["window"][..., s["d0"]:s["n"] - 32].float()


def soft_score(lm, rows):
    return lambda s: grouped(lm, attention(lm, rows(s) if callable(rows) else rows, s))


def figures_of(result, names):
    """Figures for a pack's header."""
    out = {}
    for name in names:
        for figure in ("hit", "nll", "kl"):
            if figure in result.get(name, {}): out[f"{figure} {name}"] = mean_error(result[name][figure])[0]
    return {**out, "documents": len(next(iter(result.values()))["nll"])}


def main():
    parser = arguments(__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--tokens", type=int, default=ROLE_ROWS)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=4, help="documents a step")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--forms", default="whole,chunks", help="what to train on: documents read whole, chunk by chunk, or both")
    args = parser.parse_args()
    model, lm, text = opened(args)
    train = load(args.data, "train", args.docs, args.forms.split(","))
    valid, held = load(args.data, "valid", args.valid), load(args.data, "held", args.held_out)
    print(describe(train), "| held out:", describe(held), flush=True)
    began = time.time()
    role = lm.embeddings[role_tokens(text, args.tokens)]
    tokens = role.clone().requires_grad_(True)
    fit(quick(lm, model, args), [tokens], lambda s, question: tokens, train, valid, steps=args.steps, batch=args.batch,
        rates=[args.rate], seed=args.seed)
    tokens = tokens.detach().half()
    print(f"trained in {time.time() - began:.0f} s", flush=True)
    for form, samples in (("whole", [s for s in held if not s["times"]]), ("chunks", [s for s in held if s["times"]])):
        if not samples: continue
        result = compare(lm, samples, {"snapkv": window_score, "role": soft_score(lm, role), "judgeq": soft_score(lm, tokens.float())}, nll=form == "whole")
        print(f"held out, read {form}: {len(samples)} documents, 12.5 % kept\n{table(result, 'snapkv', 'role')}", flush=True)
        if form == "whole": validation = figures_of(result, ("full cache", "snapkv", "role", "judgeq"))
        else: validation.update({f"hit {name} chunks": mean_error(result[name]["hit"])[0] for name in ("snapkv", "role", "judgeq")})
    write_pack(args.out, "judgeq", model, {"tokens": tokens}, data=describe(train), seed=args.seed, validation=validation,
               parameters=dict(tokens=args.tokens, offset=0, steps=args.steps))


if __name__ == "__main__":
    main()
