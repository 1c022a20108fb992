"""Writes a pack: one safetensors file with a method's learned arrays, and in its header what it is for and what it was measured to bring."""
import json
from pathlib import Path

from safetensors.torch import save_file

from .fingerprint import fingerprint

MAX_BYTES = 4 << 20


def write_pack(path, method, model, tensors, *, data, seed, validation, parameters):
    """validation and parameters are numbers by name."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = lambda d: json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in d.items()})
    metadata = dict(method=method, version="1", fingerprint=fingerprint(model), model=model.name, data=data, seed=str(seed),
                    validation=numbers(validation), parameters=numbers(parameters))
    save_file({name: t.detach().contiguous() for name, t in tensors.items()}, path, metadata)
    if path.stat().st_size > MAX_BYTES: raise SystemExit(f"{path} takes {path.stat().st_size} bytes, where packs of the repository take at most {MAX_BYTES}")
    print(f"wrote {path}, {path.stat().st_size} bytes", flush=True)


def describe(samples):
    """What a pack was trained on, in a line."""
    kinds = sorted({s["kind"] for s in samples})
    chunks = sum(s["times"] > 0 for s in samples)
    return f"{len(samples) - chunks} documents ({', '.join(kinds)}), {chunks} of them also compressed chunk by chunk; answers by the model itself"
