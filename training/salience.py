"""Which of a document's tokens the model's answers look at: a small network on their embeddings, trained on the teacher's attention."""
import torch
import torch.nn.functional as F

from .data import WINDOW

MIDDLE = (1 / 3, 5 / 6)  # of the layers: those that look for words, not for places


def distinct(ids):
    """Tokens of a document, each once: ids, and the positions [tokens] of each one's first and last occurrence."""
    ids = torch.as_tensor(ids)
    kept, inverse = ids.unique(return_inverse=True)
    at = torch.arange(len(ids))
    first = torch.full((len(kept),), len(ids)).scatter_reduce(0, inverse, at, "amin")
    last = torch.zeros(len(kept), dtype=torch.long).scatter_reduce(0, inverse, at, "amax")
    return kept, first, last


class Salience:
    def __init__(self, embeddings, width, generator):
        hidden, draw = embeddings.shape[1], lambda *shape: torch.randn(*shape, generator=generator)
        self.embeddings, self.unit = embeddings, float(embeddings.std())
        self.key, self.context = draw(width, hidden) * hidden ** -0.5 / self.unit, torch.zeros(width, hidden)
        self.place, self.bias, self.output = draw(width, 2) * 0.1, torch.zeros(width), draw(width) * width ** -0.5

    NAMES = ("key", "context", "place", "bias", "output")

    @staticmethod
    def of(embeddings, arrays):
        """From a pack's arrays."""
        made = Salience(embeddings, len(arrays["salience.bias"]), torch.Generator())
        for name in Salience.NAMES: setattr(made, name, arrays[f"salience.{name}"].float())
        return made

    def arrays(self):
        return {f"salience.{name}": getattr(self, name).detach().half() for name in self.NAMES}

    def score(self, ids, first, last, length, mean):
        """Of tokens [t] of a document of `length` tokens whose embeddings have this mean [hidden]: [t]."""
        place = torch.stack([torch.log1p(first.float()), torch.log1p((length - 1 - last).float())], 1)
        inner = self.embeddings[ids] @ self.key.T + self.context @ mean + place @ self.place.T + self.bias
        return inner.relu() @ self.output

    def best(self, ids, count, of=None):
        """The `count` most salient tokens of a document, in the order of their last occurrence; with `of`, those of its tokens [q], in their order,
        as if they stood behind it."""
        mean = self.embeddings[torch.as_tensor(ids)].mean(0)
        if of is None:
            kept, first, last = distinct(ids)
            length = len(ids)
        else:
            kept, first, last = distinct(of)
            first, last, length = first + len(ids), last + len(ids), len(ids) + len(of)
        at = self.score(kept, first, last, length, mean).topk(min(count, len(kept))).indices
        return kept[at[last[at].argsort()]]

    def fit(self, samples, epochs=8, rate=2e-3, decay=0.5, batch=256, seed=1):
        """To the logarithm of the most that the answers attend to an occurrence, times the document's length, on average over the middle layers."""
        rows, target, of, means = [], [], [], []
        for d, s in enumerate(samples):
            lo, hi = s["d0"], s["n"] - WINDOW
            layers = s["mean"].shape[0]
            looked = s["mean"][int(MIDDLE[0] * layers):int(MIDDLE[1] * layers), :, lo:hi].float()
            looked = (looked / looked.sum(-1, keepdim=True)).mean((0, 1)) * (hi - lo)
            ids = torch.tensor(s["ids"][lo:hi])
            kept, first, last = distinct(ids)
            most = torch.zeros(len(kept)).scatter_reduce(0, torch.searchsorted(kept, ids), looked, "amax")
            rows.append(torch.stack([kept, first, last, torch.full_like(kept, hi - lo)], 1)); target.append((most + 0.02).log())
            of.append(torch.full_like(kept, d)); means.append(self.embeddings[ids].mean(0))
        rows, target, of, means = torch.cat(rows), torch.cat(target), torch.cat(of), torch.stack(means)
        self.context = self.key.clone()
        parts = [getattr(self, n) for n in self.NAMES]
        for p in parts: p.requires_grad_(True)
        optimiser = torch.optim.AdamW([dict(params=parts[:2], base=rate / self.unit / 3), dict(params=parts[2:], base=rate)], weight_decay=decay)
        generator, steps, step = torch.Generator().manual_seed(seed), epochs * -(-len(rows) // batch), 0
        for _ in range(epochs):
            for b in torch.randperm(len(rows), generator=generator).split(batch):
                for g in optimiser.param_groups: g["lr"] = g["base"] * (1 - step / steps)
                ids, first, last, length = rows[b].T
                place = torch.stack([torch.log1p(first.float()), torch.log1p((length - 1 - last).float())], 1)
                inner = self.embeddings[ids] @ self.key.T + means[of[b]] @ self.context.T + place @ self.place.T + self.bias
                loss = F.mse_loss(inner.relu() @ self.output, target[b])
                optimiser.zero_grad(); loss.backward(); optimiser.step()
                step += 1
        for p in parts: p.requires_grad_(False)
        return float(loss.detach())
