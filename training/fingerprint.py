"""What is the same for all quantisations of one checkpoint; core/pack/fingerprint.ts computes the same."""
import hashlib

import numpy as np


def fingerprint(model):
    """SHA-256 (hex) of shapes, vocabulary and the gains of all norms."""
    c, digest = model.config, hashlib.sha256()
    digest.update(f"{c.architecture} {c.layers} {c.hidden} {c.heads} {c.kv_heads} {c.head_dim} {c.vocab}\n".encode())
    for token in model.field("tokenizer.ggml.tokens"):
        digest.update(f"{token}\n".encode())
    names = [f"blk.{i}.{norm}.weight" for i in range(c.layers) for norm in ("attn_norm", "ffn_norm")] + ["output_norm.weight"]
    for name in names:
        digest.update(model.tensor(name).numpy().astype("<f4").tobytes())
    return digest.hexdigest()
