"""Lets the CUDA build of PyTorch run where there is no GPU, without NVIDIA's packages.

PyPI's x86-64 wheel of torch names NVIDIA's libraries as needed ones, so it does not load without them: 4 GB that a
machine without a GPU never calls. This writes small libraries of those names into torch/lib, in which every function
that torch refers to answers "no CUDA device". `torch.cuda.is_available()` is then False, and everything on the CPU
works as it does with the real ones.

Usage: python cpu_only.py     (after torch was installed without the nvidia-* packages; needs readelf and cc)
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

#: Libraries of NVIDIA's packages, by the start of their name.
NVIDIA = re.compile(
    r"^lib(cublas|cublasLt|cuda|cudart|cudnn|cufft|cufile|cupti|cusolver|cusparse|cusparseLt|nccl|nvJitLink|nvrtc|nvshmem_host)\.so"
)
#: Functions without a symbol version belong to the library whose prefix they carry.
UNVERSIONED = {
    "nccl": "libnccl",
    "cusparseLt": "libcusparseLt",
    "nvshmem": "libnvshmem_host",
    "cuFile": "libcufile",
    "cu": "libcuda.",
}
#: cudaErrorNoDevice; any value but 0 is a failure to every one of these libraries.
NO_DEVICE = 100


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(library: Path) -> set[str]:
    return {
        name for name in re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-dW", str(library))) if NVIDIA.match(name)
    }


def undefined(library: Path) -> list[tuple[str, str | None]]:
    """(symbol, version) of what the library expects from others."""
    found: list[tuple[str, str | None]] = []
    for line in run("readelf", "--dyn-syms", "-W", str(library)).splitlines():
        columns = line.split()
        if len(columns) < 8 or columns[6] != "UND":
            continue
        name, _, version = columns[7].partition("@")
        found.append((name, version.lstrip("@") or None))
    return found


def version_owners(library: Path) -> dict[str, str]:
    """Which library each symbol version is expected from."""
    owners: dict[str, str] = {}
    soname = ""
    for line in run("readelf", "-VW", str(library)).splitlines():
        if match := re.search(r"File: (\S+)", line):
            soname = match[1]
        elif (match := re.search(r"Name: (\S+)\s+Flags:", line)) and soname:
            owners[match[1]] = soname
    return owners


def stub(folder: Path, soname: str, symbols: dict[str | None, set[str]]) -> None:
    """One library with the given functions by version."""
    lines = []
    for name in sorted(set().union(*symbols.values())):
        if name.endswith(("GetErrorString", "GetErrorName", "GetLastError_", "ResultString", "GetLastErrorMessage")):
            lines.append(f'const char *{name}(void) {{ return "no CUDA device: NVIDIA libraries are not installed"; }}')
        else:
            lines.append(f"int {name}(void) {{ return {NO_DEVICE}; }}")
    versions = [
        f"{version} {{ global: {'; '.join(sorted(names))}; }};"
        for version, names in symbols.items()
        if version and names
    ]
    with tempfile.TemporaryDirectory() as work:
        source, script = Path(work, "stub.c"), Path(work, "stub.map")
        source.write_text("\n".join(lines) + "\nextern int slipway_stub;\nint slipway_stub = 1;\n")
        script.write_text("\n".join(versions))
        extra = [f"-Wl,--version-script={script}"] if versions else []
        run(
            "cc",
            "-shared",
            "-fPIC",
            "-w",
            "-fno-builtin",
            f"-Wl,-soname,{soname}",
            *extra,
            "-o",
            str(folder / soname),
            str(source),
        )


def main() -> int:
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        print("cpu_only: torch is not installed", file=sys.stderr)
        return 1
    folder = Path(spec.origin).parent / "lib"
    libraries = [path for path in sorted(folder.glob("*.so*")) if not NVIDIA.match(path.name)]
    sonames = set().union(*(needed(path) for path in libraries))
    wanted: dict[str, dict[str | None, set[str]]] = {name: defaultdict(set) for name in sonames}
    for path in libraries:
        owners = version_owners(path)
        for symbol, version in undefined(path):
            if version is not None and owners.get(version) in wanted:
                wanted[owners[version]][version].add(symbol)
            elif version is None:
                owner = next((lib for prefix, lib in UNVERSIONED.items() if symbol.startswith(prefix)), None)
                for soname in sonames:
                    if owner is not None and soname.startswith(owner):
                        wanted[soname][None].add(symbol)
    for soname in sorted(sonames):
        stub(folder, soname, wanted[soname])
    print(f"cpu_only: {len(sonames)} libraries in {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
