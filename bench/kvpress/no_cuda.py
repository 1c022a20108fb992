#!/usr/bin/env python3
"""Makes a CUDA build of torch importable without its CUDA packages, for the CPU.

    pip install --no-deps torch==2.15.0 'nvidia-cuda-runtime==13.2.*' && python no_cuda.py

Writes stand-ins for the CUDA libraries that are missing into the folder torch/lib of this Python; every function of theirs answers "no device". The small
runtime library, which torch asks whether there is a device, must be the real one. Saves gigabytes of packages that a measurement on the CPU never calls.
Needs cc and readelf. Not needed with a CPU build of torch.
"""
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

NO_DEVICE = 100
# of the system, or only loaded when there is a device
NOT_OURS = re.compile(r"^(ld-linux.*|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+|z|quadmath|gomp|gfortran|cuda|cudart))\.so")
# libraries without symbol versions, and how their functions are called
PREFIXES = {"libnccl.so": "nccl", "libcufile.so": "cuFile", "libcusparseLt.so": "cusparseLt"}


def readelf(*args):
    return subprocess.run(["readelf", *args], capture_output=True, text=True, check=True).stdout


def main():
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("torch is not installed in this Python")
    folder = Path(spec.submodule_search_locations[0]) / "lib"
    packages = list((folder.parent.parent / "nvidia").glob("*/lib"))
    needed, functions, versions_of, unversioned = set(), {}, {}, set()
    for library in folder.glob("*.so"):
        needed |= set(re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("-dW", str(library))))
        for file, version in re.findall(r"File: (\S+)|Name: (\S+)", readelf("-VW", str(library)).partition("version_r")[2]):
            if file:
                versions = versions_of.setdefault(file, set())
            else:
                versions.add(version)
        for symbol in re.findall(r"\sUND (\S+)", readelf("--dyn-syms", "-W", str(library))):
            symbol, _, version = symbol.partition("@")
            if version:
                functions.setdefault(version.strip("@"), set()).add(symbol)
            else:
                unversioned.add(symbol)
    for name in sorted(needed):
        if NOT_OURS.match(name) or any((place / name).exists() for place in [folder, *packages]):
            continue
        versions = versions_of.get(name, set())
        names = set().union(*(functions.get(version, set()) for version in versions))
        for library, prefix in PREFIXES.items():
            if name.startswith(library):
                names = {function for function in unversioned if function.startswith(prefix)}
        build(folder / name, next(iter(versions), ""), sorted(names))
        print(f"{name}: {len(names)} functions")


def build(path, version, names):
    with tempfile.TemporaryDirectory() as work:
        source, script = Path(work, "stub.c"), Path(work, "versions")
        source.write_text("".join(f"long {name}(void) {{ return {NO_DEVICE}; }}\n" for name in names))
        script.write_text(f"{version} {{ global: *; }};\n")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-fno-builtin", "-w", f"-Wl,-soname,{path.name}", f"-Wl,--version-script={script}",
                        "-o", str(path), str(source)], check=True)


if __name__ == "__main__":
    main()
