"""Meta-Soft (arXiv 2605.22337): soft rows synthesised for a document, as sparse mixtures of a library of orthonormal directions.

    python -m training.metasoft MODEL.gguf --sources FOLDER --data FOLDER --judgeq packs/NAME/judgeq.safetensors --out packs/NAME/metasoft.safetensors

Stage 1 trains the library with one mixture for all documents (and an orthogonality term), stage 2 the selector, which mixes by what is known of the
document, with Gumbel noise that fades. Differs from the paper: the mixtures are added to rows that are the same for all documents and begin as
Judge Q's tokens, so that the selector starts from Judge Q exactly and only has to learn what differs between documents. README.md has the formulas.
"""
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from .data import arguments, load, opened
from .judgeq import figures_of, soft_score, window_score
from .pack import describe, write_pack
from .scoring import compare, mean_error, table
from .soft_tokens import fit


class Selector:
    """Holds everything that is trained; `rows(features)` is the forward that the tool computes."""

    def __init__(self, tokens, embeddings, directions, width, chosen, generator, share=0.5):
        count, hidden = tokens.shape
        draw = lambda *shape: torch.randn(*shape, generator=generator)
        # library: the span of Judge Q's tokens first, then the principal directions of the vocabulary
        common = embeddings.mean(0)
        principal = torch.linalg.eigh((embeddings - common).T @ (embeddings - common)).eigenvectors.flip(1).T
        self.library = torch.linalg.qr(torch.cat([tokens, principal])[:directions].T).Q.T.contiguous()
        self.chosen, self.anneal, self.generator = chosen, 0.0, generator
        self.scale = tokens.norm(dim=1).mean()[None] * share
        self.query, self.key, self.value = draw(count, width), draw(width, hidden) * 0.1 * hidden ** -0.5, draw(width, hidden) * hidden ** -0.5
        self.query[:, 0], self.place = width ** 0.25, torch.zeros(3, width)
        self.place[0, 0] = 4 * width ** 0.25  # at first the document's mean is attended to: a single token's embedding says little
        self.output, self.bias = torch.zeros(directions, width), draw(count, directions) * 0.5
        self.tokens = tokens - self.mixture(self.bias)  # so that at the start the rows are Judge Q's

    def mixture(self, logits):
        """scale · softmax over the best `chosen` logits · library; noise only while training."""
        if self.anneal:
            noise = torch.rand(logits.shape, generator=self.generator).clamp(1e-6, 1 - 1e-6)
            logits = logits - self.anneal * torch.log(-torch.log(noise))
        best, at = logits.topk(self.chosen, -1)
        weights = torch.zeros_like(logits).scatter(-1, at, best.softmax(-1))
        return self.scale * weights @ self.library

    def logits(self, features):
        """features [3, hidden] -> [k, M]"""
        keys, values = features @ self.key.T + self.place, features @ self.value.T
        seen = (self.query @ keys.T / self.query.shape[1] ** 0.5).softmax(-1) @ values
        return self.bias + seen @ self.output.T

    def rows(self, features):
        return self.tokens + self.mixture(self.logits(features))

    def static(self):
        return self.tokens + self.mixture(self.bias)

    def straighten(self):
        """The orthonormal library next to what was trained."""
        u, _, v = torch.linalg.svd(self.library.detach(), full_matrices=False)
        self.library = u @ v

    def centre(self, mean, spread):
        """Takes (f - mean) / spread, which training used, into the arrays: the keys' part cancels in the softmax, the values' joins the bias."""
        self.bias = self.bias - self.output @ (self.value @ (mean / spread))
        self.key, self.value = self.key / spread, self.value / spread

    def arrays(self):
        half = dict(tokens=self.tokens, library=self.library, **{f"selector.{n}": getattr(self, n) for n in ("query", "key", "place", "value", "output", "bias")})
        return {**{name: t.detach().half() for name, t in half.items()}, "scale": self.scale.detach().float()}


def features_of(lm, s, question=None):
    """Mean of the document's embeddings so far, embedding of its last token, mean of the question's embeddings or zeros: [3, hidden]."""
    document = lm.embeddings[s["ids"][s["d0"]:]]
    asked = torch.zeros(document.shape[1]) if question is None else lm.embeddings[question].mean(0)
    return torch.stack([document.mean(0), document[-1], asked])


def main():
    parser = arguments(__doc__)
    parser.add_argument("--judgeq", required=True, help="the pack of Judge Q to begin with")
    parser.add_argument("--out", required=True)
    parser.add_argument("--directions", type=int, default=512)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--chosen", type=int, default=8, help="directions that a row is mixed of")
    parser.add_argument("--share", type=float, default=0.5, help="what a mixture is multiplied with at the start, in mean lengths of Judge Q's tokens")
    parser.add_argument("--noise", type=float, default=1.0, help="Gumbel noise at the start of a stage")
    parser.add_argument("--library-steps", type=int, default=30)
    parser.add_argument("--steps", type=int, default=90)
    args = parser.parse_args()
    model, lm, text = opened(args)
    train, held = load(args.data, "train", args.docs), load(args.data, "held", args.held_out)
    began, judgeq = time.time(), load_file(args.judgeq)["tokens"].float()
    selector = Selector(judgeq, lm.embeddings, min(args.directions, lm.config.hidden), args.width, args.chosen, torch.Generator().manual_seed(args.seed), args.share)

    print("stage 1: the library, one mixture for all documents", flush=True)
    trained = [selector.library, selector.bias, selector.tokens]
    for t in trained: t.requires_grad_(True)
    identity = torch.eye(selector.library.shape[0])
    def orthogonality(): return 0.01 * ((selector.library @ selector.library.T - identity) ** 2).mean() * identity.shape[0]
    def fade(share): selector.anneal = args.noise * max(0.0, 1 - share / 0.7)
    def quiet(rows):  # no noise while validating
        def of(s):
            if torch.is_grad_enabled(): return rows(s)
            kept, selector.anneal = selector.anneal, 0.0
            made, selector.anneal = rows(s), kept
            return made
        return of
    fit(lm, trained, quiet(lambda s: selector.static()), train, held, steps=args.library_steps, rate=0, rates=[3e-4, 3e-2, 1e-3], seed=args.seed, penalty=orthogonality, at_step=fade)
    selector.tokens, selector.bias = selector.tokens.detach(), selector.bias.detach()
    selector.straighten()
    static = selector.static().clone()

    print("stage 2: the selector", flush=True)
    seen = torch.stack([features_of(lm, s)[0] for s in train])
    mean, spread = seen.mean(0), seen.std()  # what all documents share says nothing of one
    def features(s):
        f = features_of(lm, s)
        return torch.cat([(f[:2] - mean) / spread, -(mean / spread)[None]])
    trained = [selector.query, selector.key, selector.place, selector.value, selector.output, selector.bias, selector.tokens, selector.scale]
    for t in trained: t.requires_grad_(True)
    fit(lm, trained, quiet(lambda s: selector.rows(features(s))), train, held, steps=args.steps, rate=0, rates=[1e-2, 1e-3, 1e-2, 1e-3, 1e-2, 1e-2, 1e-3, 1e-3], seed=args.seed + 1,
        at_step=fade)
    selector.anneal = 0.0
    selector.centre(mean, spread)
    arrays = selector.arrays()
    for name in ("query", "key", "place", "value", "output", "bias"): setattr(selector, name, arrays[f"selector.{name}"].float())
    selector.tokens, selector.library, selector.scale = arrays["tokens"].float(), arrays["library"].float(), arrays["scale"]
    print(f"trained in {time.time() - began:.0f} s", flush=True)

    with torch.no_grad():
        weights = torch.stack([selector.logits(features_of(lm, s)) for s in held if not s["times"]])
        best = [w.topk(args.chosen, -1).indices.sort(-1).values for w in weights]
        same = sum(float((a == b).all(-1).float().mean()) for i, a in enumerate(best) for b in best[:i]) / max(1, len(best) * (len(best) - 1) // 2)
        spreads = torch.zeros_like(weights).scatter(-1, weights.topk(args.chosen, -1).indices, weights.topk(args.chosen, -1).values.softmax(-1))
        moved = float((spreads - spreads.mean(0)).abs().sum(-1).mean() / 2)
    gram = selector.library @ selector.library.T
    print(f"rows whose chosen directions are the same in two documents: {100 * same:.1f} %; weight that differs from the mean mixture: {100 * moved:.1f} %; "
          f"|LL' - I| at most {float((gram - identity).abs().max()):.4f}", flush=True)
    for form, samples in (("whole", [s for s in held if not s["times"]]), ("chunks", [s for s in held if s["times"]])):
        if not samples: continue
        scorers = {"snapkv": window_score, "judgeq": soft_score(lm, judgeq), "metasoft static": soft_score(lm, static),
                   "metasoft": soft_score(lm, lambda s: selector.rows(features_of(lm, s)))}
        result = compare(lm, samples, scorers, nll=form == "whole")
        print(f"held out, read {form}: {len(samples)} documents, 12.5 % kept\n{table(result, 'judgeq')}", flush=True)
        if form == "whole": validation = {**figures_of(result, ("full cache", *scorers)), "weight that differs %": 100 * moved}
        else: validation.update({f"hit {name} chunks": mean_error(result[name]["hit"])[0] for name in scorers})
    write_pack(args.out, "metasoft", model, arrays, data=describe(train), seed=args.seed, validation=validation,
               parameters=dict(tokens=judgeq.shape[0], offset=0, chosen=args.chosen))


if __name__ == "__main__":
    main()
