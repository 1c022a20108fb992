"""Reads a model from GGUF: configuration, float32 weights in the tool's own order, vocabulary."""
from dataclasses import dataclass

import gguf
import numpy as np
import torch


@dataclass
class Config:
    """Names and meanings of the tool's own ModelConfig."""
    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    rope_base: float
    norm_epsilon: float


@dataclass
class ModelFile:
    config: Config
    name: str
    fields: dict
    tensors: dict

    def field(self, key):
        """A metadata value; None when it is missing."""
        found = self.fields.get(key)
        return None if found is None else found.contents()

    def tensor(self, name):
        """A dequantised tensor, float32; llama.cpp's interleaved rows of q and k are put back in half-split RoPE order, as the tool does."""
        stored = self.tensors[name]
        values = torch.from_numpy(np.ascontiguousarray(gguf.dequantize(stored.data, stored.tensor_type)).astype(np.float32))
        values = values.reshape([int(n) for n in reversed(stored.shape)])
        if self.config.architecture == "llama" and (name.endswith("attn_q.weight") or name.endswith("attn_k.weight")):
            d = self.config.head_dim
            values = values.view(-1, d // 2, 2, values.shape[-1]).transpose(1, 2).reshape(values.shape)
        return values


def open_model(path):
    reader = gguf.GGUFReader(path)
    fields, tensors = reader.fields, {t.name: t for t in reader.tensors}
    get = lambda key: fields[key].contents() if key in fields else None
    arch = get("general.architecture")
    if arch not in ("llama", "qwen3"):
        raise SystemExit(f"Cannot train for {path}: its architecture is {arch}, where llama and qwen3 work")
    of = lambda key: get(f"{arch}.{key}")
    heads, hidden = of("attention.head_count"), of("embedding_length")
    config = Config(arch, of("block_count"), hidden, heads, of("attention.head_count_kv") or heads, of("attention.key_length") or hidden // heads,
                    int(tensors["token_embd.weight"].shape[1]), of("rope.freq_base") or 10000.0, of("attention.layer_norm_rms_epsilon"))
    name = get("general.name") or get("general.basename") or arch
    return ModelFile(config, name, fields, tensors)
