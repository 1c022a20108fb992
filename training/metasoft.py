"""Meta-Soft (arXiv 2605.22337): soft rows synthesised for a document, as sparse mixtures of a library of orthonormal directions.

    python -m training.metasoft MODEL.gguf --sources FOLDER --data FOLDER --judgeq packs/NAME/judgeq.safetensors --out packs/NAME/metasoft.safetensors

Stage 1 trains the library with one mixture for all documents (and an orthogonality term), stage 2 the selector, which mixes by what is known of the
document, with Gumbel noise that fades. Differs from the paper: the mixtures are added to rows that are the same for all documents and begin as Judge Q's
tokens; and further rows copy the embeddings of the document's most salient tokens (salience.py), or of the question's where it is known: mixtures alone
brought nothing. README.md has the formulas.

With --static it trains as many rows that are the same for all documents, in as many steps: what --control FILE then compares with.
"""
import time

import torch
from safetensors.torch import load_file, save_file

from .data import WINDOW, arguments, load, look, opened, quick
from .flow import flowed
from .judgeq import figures_of, soft_score, window_score
from .pack import describe, write_pack
from .salience import Salience
from .scoring import answer_logs, attention, compare, grouped, hit_rate, mean_error, table
from .soft_tokens import fit


class Selector:
    """Holds everything that is trained but the salience; `rows(features, copied)` is the forward that the tool computes."""

    def __init__(self, tokens, copies, embeddings, directions, width, chosen, generator, share=0.5):
        tokens = torch.cat([tokens, torch.zeros(copies, tokens.shape[1])])
        count, hidden = tokens.shape
        draw = lambda *shape: torch.randn(*shape, generator=generator)
        # library: the span of Judge Q's tokens first, then the principal directions of the vocabulary
        common = embeddings.mean(0)
        principal = torch.linalg.eigh((embeddings - common).T @ (embeddings - common)).eigenvectors.flip(1).T
        self.library = torch.linalg.qr(torch.cat([tokens[:count - copies], principal])[:directions].T).Q.T.contiguous()
        self.chosen, self.anneal, self.generator = chosen, 0.0, generator
        self.scale = tokens[:count - copies].norm(dim=1).mean()[None] * share
        self.query, self.key, self.value = draw(count, width), draw(width, hidden) * 0.1 * hidden ** -0.5, draw(width, hidden) * hidden ** -0.5
        self.query[:, 0], self.place = width ** 0.25, torch.zeros(3, width)
        self.place[0, 0] = 4 * width ** 0.25  # at first the document's mean is attended to: a single token's embedding says little
        self.output, self.bias = torch.zeros(directions, width), draw(count, directions) * 0.5
        self.copy = torch.ones(copies)
        self.tokens = tokens - self.mixture(self.bias)  # so that at the start the rows are Judge Q's, then the copies

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

    def with_copies(self, rows, copied):
        """Adds embeddings [at most as many as there are copies, hidden] to the last rows; a row without one stays."""
        first = len(rows) - len(self.copy)
        return torch.cat([rows[:first], rows[first:first + len(copied)] + self.copy[:len(copied), None] * copied, rows[first + len(copied):]])

    def rows(self, features, copied):
        return self.with_copies(self.tokens + self.mixture(self.logits(features)), copied)

    def static(self):
        """Without features: the same mixtures for all documents."""
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
        return {**{name: t.detach().half() for name, t in half.items()}, "scale": self.scale.detach().float(), "copy": self.copy.detach().float()}


def features_of(lm, s, question=None):
    """Mean of the document's embeddings so far, embedding of its last token, mean of the question's embeddings or zeros: [3, hidden]."""
    document = lm.embeddings[s["ids"][s["d0"]:]]
    asked = torch.zeros(document.shape[1]) if question is None else lm.embeddings[question].mean(0)
    return torch.stack([document.mean(0), document[-1], asked])


def known(text, s, question):
    """The tokens of a question as the tool knows it, without the template; None for none."""
    return None if question is None else s["questions"][question][:-len(text.encode(text.answer_start))]


def copied(lm, salience, s, count, question=None):
    """Embeddings of what the last rows copy: of the question's tokens where it is known, else of the document's."""
    return lm.embeddings[salience.best(s["ids"][s["d0"]:], count, question)]


def parser_of():
    parser = arguments(__doc__)
    parser.add_argument("--judgeq", required=True, help="the pack of Judge Q to begin with")
    parser.add_argument("--out", required=True)
    parser.add_argument("--copies", type=int, default=12, help="rows, behind Judge Q's, that copy salient tokens")
    parser.add_argument("--asked", type=float, default=0.5, help="share of the samples with a known question")
    parser.add_argument("--directions", type=int, default=512)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--chosen", type=int, default=8, help="directions that a row is mixed of")
    parser.add_argument("--share", type=float, default=0.5, help="what a mixture is multiplied with at the start, in mean lengths of Judge Q's tokens")
    parser.add_argument("--noise", type=float, default=1.0, help="Gumbel noise at the start of a stage")
    parser.add_argument("--library-steps", type=int, default=30)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--static", action="store_true", help="train the control: rows without features or copies")
    parser.add_argument("--control", help="what a run with --static wrote")
    return parser


def main():
    args = parser_of().parse_args()
    model, lm, text = opened(args)
    fast = quick(lm, model, args)
    train, valid, held = load(args.data, "train", args.docs), load(args.data, "valid", args.valid), load(args.data, "held", args.held_out)
    began, judgeq = time.time(), load_file(args.judgeq)["tokens"].float()
    generator = torch.Generator().manual_seed(args.seed)
    if args.static:
        rows = torch.cat([judgeq, torch.zeros(args.copies, judgeq.shape[1])]).requires_grad_(True)
        steps = args.library_steps + args.steps
        fit(fast, [rows], lambda s, question: rows, train, valid, steps=steps, rates=[2e-3], seed=args.seed + 1)
        return save_file({"tokens": rows.detach().half()}, args.out)

    salience = Salience(lm.embeddings, args.width, generator)
    loss = salience.fit([s for s in train if not s["times"]], seed=args.seed)
    print(f"salience: last squared error {loss:.3f}  {time.time() - began:.0f} s", flush=True)
    salience = Salience.of(lm.embeddings, salience.arrays())
    def copies_of(s, question):
        made = s.setdefault("copies", {})
        if question not in made: made[question] = copied(lm, salience, s, args.copies, known(text, s, question))
        return made[question]
    selector = Selector(judgeq, args.copies, lm.embeddings, min(args.directions, lm.config.hidden), args.width, args.chosen, generator, args.share)

    print("stage 1: the library, one mixture for all documents", flush=True)
    trained = [selector.library, selector.bias, selector.tokens, selector.copy]
    for t in trained: t.requires_grad_(True)
    identity = torch.eye(selector.library.shape[0])
    def orthogonality(): return 0.01 * ((selector.library @ selector.library.T - identity) ** 2).mean() * identity.shape[0]
    def fade(share): selector.anneal = args.noise * max(0.0, 1 - share / 0.7)
    def quiet(rows):  # no noise while validating
        def of(s, question):
            if torch.is_grad_enabled(): return rows(s, question)
            kept, selector.anneal = selector.anneal, 0.0
            made, selector.anneal = rows(s, question), kept
            return made
        return of
    fit(fast, trained, quiet(lambda s, question: selector.with_copies(selector.static(), copies_of(s, question))), train, valid, steps=args.library_steps,
        rates=[3e-4, 3e-2, 1e-3, 1e-2], seed=args.seed, penalty=orthogonality, at_step=fade, asked=args.asked)
    selector.tokens, selector.bias = selector.tokens.detach(), selector.bias.detach()
    selector.straighten()

    print("stage 2: the selector", flush=True)
    seen = torch.stack([features_of(lm, s)[0] for s in train])
    mean, spread = seen.mean(0), seen.std()  # what all documents share says nothing of one
    def features(s, question): return (features_of(lm, s, known(text, s, question)) - mean) / spread
    trained = [selector.query, selector.key, selector.place, selector.value, selector.output, selector.bias, selector.tokens, selector.scale, selector.copy]
    for t in trained: t.requires_grad_(True)
    fit(fast, trained, quiet(lambda s, question: selector.rows(features(s, question), copies_of(s, question))), train, valid, steps=args.steps,
        rates=[1e-2, 1e-3, 1e-2, 1e-3, 1e-2, 1e-2, 2e-3, 1e-3, 1e-2], seed=args.seed + 1, at_step=fade, asked=args.asked)
    selector.anneal = 0.0
    selector.centre(mean, spread)
    arrays = {**selector.arrays(), **salience.arrays()}
    for name in ("query", "key", "place", "value", "output", "bias"): setattr(selector, name, arrays[f"selector.{name}"].float())
    selector.tokens, selector.library, selector.scale, selector.copy = (arrays[n].float() for n in ("tokens", "library", "scale", "copy"))
    print(f"trained in {time.time() - began:.0f} s", flush=True)
    validation = measure(lm, text, selector, copies_of, judgeq, held, args)
    write_pack(args.out, "metasoft", model, arrays, data=describe(train), seed=args.seed, validation=validation,
               parameters=dict(tokens=len(selector.tokens), offset=0, chosen=args.chosen, question=int(args.asked > 0)))


@torch.no_grad()
def measure(lm, text, selector, copies_of, judgeq, held, args):
    """Prints the tables on held-out documents; figures for the pack's header."""
    whole = [s for s in held if not s["times"]]
    weights = torch.stack([selector.logits(features_of(lm, s)) for s in whole])
    best = [w.topk(args.chosen, -1).indices.sort(-1).values for w in weights]
    same = sum(float((a == b).all(-1).float().mean()) for i, a in enumerate(best) for b in best[:i]) / max(1, len(best) * (len(best) - 1) // 2)
    spreads = torch.zeros_like(weights).scatter(-1, weights.topk(args.chosen, -1).indices, weights.topk(args.chosen, -1).values.softmax(-1))
    moved = float((spreads - spreads.mean(0)).abs().sum(-1).mean() / 2)
    gram = selector.library @ selector.library.T
    print(f"rows whose chosen directions are the same in two documents: {100 * same:.1f} %; weight that differs from the mean mixture: {100 * moved:.1f} %; "
          f"|LL' - I| at most {float((gram - torch.eye(len(gram))).abs().max()):.4f}", flush=True)
    usual = torch.stack([features_of(lm, s) for s in whole]).mean(0)

    def rows(s, question=None): return selector.rows(features_of(lm, s, known(text, s, question)), copies_of(s, question))
    static = {"judgeq": judgeq}
    if args.control: static["static rows"] = load_file(args.control)["tokens"].float()
    scorers = {"snapkv": window_score, **{name: soft_score(lm, one) for name, one in static.items()},
               "metasoft, no copies": soft_score(lm, lambda s: selector.rows(features_of(lm, s), copies_of(s, None)[:0])),
               "metasoft, one mixture": soft_score(lm, lambda s: selector.rows(usual, copies_of(s, None))),
               "metasoft": soft_score(lm, rows)}
    def flow(name): return lambda s: answer_logs(lm, flowed(s, scorers[name](s)), scorers[name](s))
    flows = {f"{name} + flow": flow(name) for name in (*static, "metasoft")}
    for form, samples in (("whole", whole), ("chunks", [s for s in held if s["times"]])):
        if not samples: continue
        result = compare(lm, samples, scorers, nll=form == "whole", more=flows if form == "whole" else None)
        print(f"held out, read {form}: {len(samples)} documents, 12.5 % kept\n{table(result, 'judgeq', 'static rows')}", flush=True)
        if form == "whole": validation = {**figures_of(result, ("full cache", *scorers, *flows)), "weight that differs %": 100 * moved}
        else: validation.update({f"hit {name} chunks": mean_error(result[name]["hit"])[0] for name in scorers})
    if not args.asked: return validation

    # with a known question: what its answer attends to
    ways = {"judgeq": lambda s, q: judgeq, "metasoft, not told": lambda s, q: rows(s), "metasoft": rows}
    figures = {}
    for s in whole:
        for name, of in ways.items():
            hits = [float(hit_rate(grouped(lm, attention(lm, of(s, q), s)), s)[:, q].mean()) for q in range(len(s["questions"]))]
            figures.setdefault(name, {}).setdefault("hit", []).append(sum(hits) / len(hits))
            for kind, hit in zip(s["asks"], hits): figures[name].setdefault("hit " + ("lookup" if kind == "about" else kind), []).append(hit)
    behind, alone = [], []
    for s in whole:
        for q in range(len(s["questions"])):
            asked = lm.embeddings[known(text, s, q)]
            both = torch.cat([asked, judgeq])
            maps = []
            look(lm, s, both, lambda i, a: maps.append(a[..., s["d0"]:s["n"] - WINDOW].mean(1)))
            maps = torch.stack(maps)  # [L, KV, rows, m]
            for to, part in ((alone, maps[:, :, :len(asked)]), (behind, maps[:, :, len(asked):])):
                to.append(float(hit_rate(part.mean(2), s)[:, q].mean()))
    for name, hits in (("judgeq behind the question", behind), ("the question", alone)):
        figures[name] = {"hit": [sum(part) / len(part) for part in (hits[i:i + 5] for i in range(0, len(hits), 5))]}
    print(f"held out, the question known: {len(whole)} documents, 12.5 % kept\n{table(figures, 'judgeq')}", flush=True)
    return {**validation, **{f"hit {name} asked": mean_error(row["hit"])[0] for name, row in figures.items()}}


if __name__ == "__main__":
    main()
