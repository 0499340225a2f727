"""Generates the Python code of every wire message, or with `--check` tells whether what is committed is up to date.

`proto/peerkit/wire/v1/*.proto` becomes `kernel/src/peerkit/wire/v1/*_pb2.py(i)`, `proto/peerkit_<name>/wire/v1/*.proto`
becomes `plugins/<name>/src/peerkit_<name>/wire/v1/*_pb2.py(i)`.  Generated files without a source are removed.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
# Today's generated code refuses every older protobuf at run time; 29 runs on protobuf 5.29 and all later ones.
PROTOC_MAJOR = "29"
WIRE = "wire/v1"


def source_folder(package: str) -> Path:
    """Where the import package `peerkit` or `peerkit_<name>` lies."""
    project = "kernel" if package == "peerkit" else f"plugins/{package.removeprefix('peerkit_')}"
    return ROOT / project / "src"


def generate(sources: list[str], out: Path) -> dict[Path, bytes]:
    """Run protoc over `sources`, paths below proto/; returns what each generated file must contain."""
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    version = subprocess.run([*protoc, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    if not re.fullmatch(rf"libprotoc {PROTOC_MAJOR}\.\d+", version):
        sys.exit(f"proto: {version} found, {PROTOC_MAJOR}.x needed: see constraints.txt")
    if sources:
        outs = [f"--python_out={out}", f"--pyi_out={out}"]
        if subprocess.run([*protoc, f"--proto_path={PROTO}", *outs, *sources], check=False).returncode:
            sys.exit("proto: a .proto file has errors")
    wanted: dict[Path, bytes] = {}
    for generated in sorted(out.rglob("*_pb2.py*")):
        relative = generated.relative_to(out)
        target = source_folder(relative.parts[0]) / relative
        wanted[target] = generated.read_bytes()
        for folder in (target.parent, target.parent.parent):
            wanted[folder / "__init__.py"] = b""
    return wanted


def main() -> None:
    sources = sorted(path.relative_to(PROTO).as_posix() for path in PROTO.glob(f"peerkit*/{WIRE}/*.proto"))
    stray = sorted(
        path.relative_to(ROOT).as_posix()
        for path in PROTO.rglob("*.proto")
        if path.relative_to(PROTO).as_posix() not in sources
    )
    if stray:
        sys.exit(f"proto: not in proto/peerkit[_<name>]/{WIRE}/: {', '.join(stray)}")
    with tempfile.TemporaryDirectory() as folder:
        wanted = generate(sources, Path(folder))
    roots = [ROOT / "kernel" / "src", *(ROOT / "plugins").glob("*/src")]
    present = {path for root in roots for path in root.glob(f"peerkit*/{WIRE}/*_pb2.py*")}
    changed = [path for path, data in wanted.items() if not path.is_file() or path.read_bytes() != data]
    # An __init__.py may say something of its own; only its absence counts.
    changed = [path for path in changed if path.name != "__init__.py" or not path.is_file()]
    orphaned = present - wanted.keys()
    if "--check" in sys.argv[1:]:
        if changed or orphaned:
            names = sorted(path.relative_to(ROOT).as_posix() for path in {*changed, *orphaned})
            sys.exit(f"proto: out of date, run `make proto`: {', '.join(names)}")
        print(f"proto: {len(sources)} sources, generated code up to date")
        return
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted[path])
    for path in orphaned:
        path.unlink()
    for path in sorted({*changed, *orphaned}):
        print(path.relative_to(ROOT).as_posix())


if __name__ == "__main__":
    main()
