"""A frozen Llama decoder: forwards a few rows on top of a stored cache and shows their attention, with gradients to the rows only."""
import torch
import torch.nn.functional as F

MASKED = -1e30


def causal(rows):
    """Additive mask [1, rows, rows]."""
    return torch.full((rows, rows), MASKED).triu(1)[None]


class Llama:
    def __init__(self, model):
        c = self.config = model.config
        self.L, self.H, self.KV, self.G, self.d = c.layers, c.heads, c.kv_heads, c.heads // c.kv_heads, c.head_dim
        self.inverse = 1.0 / c.rope_base ** (torch.arange(0, c.head_dim, 2).float() / c.head_dim)
        if "rope_freqs.weight" in model.tensors: self.inverse = self.inverse / model.tensor("rope_freqs.weight")
        self.embeddings, self.norm = model.tensor("token_embd.weight"), model.tensor("output_norm.weight")
        self.head = model.tensor("output.weight") if "output.weight" in model.tensors else self.embeddings
        self.layers = []
        for i in range(c.layers):
            w = lambda name: model.tensor(f"blk.{i}.{name}.weight")
            normed = {n: w(f"attn_{n}_norm") for n in "qk"} if f"blk.{i}.attn_q_norm.weight" in model.tensors else None
            self.layers.append(dict(n1=w("attn_norm"), n2=w("ffn_norm"), qkv=torch.cat([w("attn_q"), w("attn_k"), w("attn_v")]), o=w("attn_output"),
                                    gate_up=torch.cat([w("ffn_gate"), w("ffn_up")]), down=w("ffn_down"), head_norms=normed))

    def cast(self, dtype):
        """Keeps the layers' matrices in another type; what is added up stays float32."""
        for l in self.layers: l.update({name: l[name].to(dtype) for name in ("qkv", "o", "gate_up", "down")})
        return self

    def linear(self, x, w):
        return F.linear(x.to(w.dtype), w).float()

    def rms(self, x, gain):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.config.norm_epsilon) * gain

    def rotate(self, z, positions, back=False):
        """z [..., rows, d] turned to (or back from) positions [rows] or [B, 1, rows], half-split order."""
        angle = positions[..., None].float() * self.inverse
        cos, sin = torch.cat([angle.cos()] * 2, -1), torch.cat([angle.sin()] * 2, -1) * (-1 if back else 1)
        return z * cos + torch.cat([-z[..., self.d // 2:], z[..., :self.d // 2]], -1) * sin

    def project(self, i, x):
        """Queries [B, H, T, d] and keys [B, KV, T, d], both before RoPE, and values, of layer i's normed input x [B, T, hidden]."""
        B, T, _ = x.shape
        l, kd = self.layers[i], self.KV * self.d
        q, k, v = self.linear(x, l["qkv"]).split([self.H * self.d, kd, kd], -1)
        q, k, v = (z.view(B, T, -1, self.d).transpose(1, 2) for z in (q, k, v))
        if l["head_norms"]: q, k = self.rms(q, l["head_norms"]["q"]), self.rms(k, l["head_norms"]["k"])
        return q, k, v

    def forward(self, x, positions, context=None, alive=None, tail=None, mask=None, see=None, hidden=None, mix=None, bias=None):
        """x [B, T, hidden] at positions [B, T] -> the same shape after the last layer, before the final norm.

        context: (K, V) [L, KV, n, d] with rotated keys, shared by the batch; alive [L, KV, n] bool: slots that are still there; bias [L, KV, n] is
        added to their logits.
        tail: list per layer of None or (K, V) [B, KV, t, d], extended in place; mask [B, T, t + T] is added to the tail's logits.
        see(layer, attention over the context [B, KV, G, T, n]); hidden(layer, normed input of the layer [B, T, hidden]);
        mix(layer, queries before RoPE [B, H, T, d], attention over the context [B, H, T, n], output [B, H, T, d]) -> the output to go on with."""
        B, T, _ = x.shape
        n = 0 if context is None else context[0].shape[2]
        at = positions[:, None]
        for i, l in enumerate(self.layers):
            normed = self.rms(x, l["n1"])
            if hidden is not None: hidden(i, normed)
            plain, k, v = self.project(i, normed)
            q, k = self.rotate(plain, at) * self.d ** -0.5, self.rotate(k, at)
            if tail is not None:
                if tail[i] is not None: k, v = torch.cat([tail[i][0], k], 2), torch.cat([tail[i][1], v], 2)
                tail[i] = (k, v)
            t = k.shape[2]
            q = q.reshape(B, self.KV, self.G * T, self.d)
            s = (q @ k.transpose(-1, -2)).view(B, self.KV, self.G, T, t) + mask[:, None, None]
            if n:
                K, V = context[0][i].float(), context[1][i].float()  # stored in f16
                sc = (q.transpose(0, 1).reshape(self.KV, -1, self.d) @ K.transpose(-1, -2)).view(self.KV, B, self.G, T, n).transpose(0, 1)
                if alive is not None: sc = sc.masked_fill(~alive[i][None, :, None, None], MASKED)
                if bias is not None: sc = sc + bias[i][None, :, None, None]
                s = torch.cat([sc, s], -1)
            a = s.softmax(-1)
            if n and see is not None: see(i, a[..., :n])
            o = a[..., n:].reshape(B, self.KV, self.G * T, t) @ v
            if n: o = o + (a[..., :n].transpose(0, 1).reshape(self.KV, -1, n) @ V).view(self.KV, B, self.G * T, self.d).transpose(0, 1)
            o = o.reshape(B, self.H, T, self.d)
            if mix is not None: o = mix(i, plain, a[..., :n].flatten(1, 2), o)
            x = x + self.linear(o.transpose(1, 2).reshape(B, T, -1), l["o"])
            g, u = self.linear(self.rms(x, l["n2"]), l["gate_up"]).chunk(2, -1)
            x = x + self.linear(F.silu(g) * u, l["down"])
        return x

    def logits(self, x):
        return F.linear(self.rms(x, self.norm), self.head)
