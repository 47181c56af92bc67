"""How long it takes to seal files, against model_signing and a bare hashing loop.

Run: python benchmarks/integrity/seal_files.py [--quick] [--json FILE]

All three read the same files from a warm page cache, turn by turn in one process, so that
another load on the machine meets all of them; the table gives medians and ratios. "Bare" opens,
reads and hashes each file on all cores and does nothing else: no manifest, no signature, no
check that a file stayed the same. model_signing is called through its signing API.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate.attest import dsse
from sluicegate.attest.bundle import to_bundle
from sluicegate.attest.keys import Algorithm, Signer, generate
from sluicegate.attest.predicates import seal_payload
from sluicegate.digest.manifest import build_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

KIB, MIB = 1024, 1024 * 1024
N_CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Case:
    """A tree of equal files."""

    name: str
    n_files: int
    file_bytes: int
    rounds: int


@dataclass(frozen=True)
class Row:
    """Medians in seconds, and what they mean."""

    name: str
    sluicegate_s: float
    model_signing_s: float
    bare_s: float

    @property
    def times_model_signing(self) -> float:
        """How many times faster than model_signing."""
        return self.model_signing_s / self.sluicegate_s

    @property
    def times_bare(self) -> float:
        """Share of the time of the bare loop; 1 is the floor."""
        return self.sluicegate_s / self.bare_s


FULL = (
    Case("20,000 files of 16 KiB", 20_000, 16 * KIB, 5),
    Case("1,000 files of 1 MiB", 1_000, MIB, 5),
    Case("4 files of 512 MiB", 4, 512 * MIB, 5),
    Case("1 file of 2 GiB", 1, 2048 * MIB, 5),
)
QUICK = (
    Case("2,000 files of 16 KiB", 2_000, 16 * KIB, 3),
    Case("50 files of 1 MiB", 50, MIB, 3),
)


def make_files(root: Path, case: Case) -> list[str]:
    """Write the files of a case, a thousand a directory, and return their paths."""
    block = os.urandom(min(case.file_bytes, 4 * MIB))
    paths = []
    for number in range(case.n_files):
        directory = root / f"part-{number // 1000:03}"
        directory.mkdir(exist_ok=True)
        path = directory / f"file-{number:06}.bin"
        with path.open("wb") as file:
            file.write(number.to_bytes(8, "big") + block[8:])
            for _ in range(case.file_bytes // len(block) - 1):
                file.write(block)
        paths.append(str(path))
    return paths


def seal(root: Path, signer: Signer, algorithm: str = "sha256") -> bytes:
    """What `sluicegate seal` does: manifest, statement, signature, bundle."""
    payload = seal_payload("benchmark", build_manifest(root, algorithm=algorithm))
    return to_bundle(dsse.sign(payload, signer), signer.public_key)


def bare(paths: list[str]) -> None:
    """Hash every file on all cores, and nothing else."""

    def hash_share(share: list[str]) -> None:
        buffer = memoryview(bytearray(MIB))
        for path in share:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (the fastest open is the point)
                hasher = hashlib.sha256()
                while n_read := file.readinto(buffer):
                    hasher.update(buffer[:n_read])
                hasher.digest()

    with ThreadPoolExecutor(N_CORES) as pool:
        list(pool.map(hash_share, [paths[start::N_CORES] for start in range(N_CORES)]))


def measure(case: Case, signer: Signer) -> Row:
    """Run all three turn by turn and return their medians."""
    import model_signing.signing  # noqa: PLC0415 (two seconds that --help does not need)

    with tempfile.TemporaryDirectory() as scratch:
        root, key = Path(scratch, "files"), Path(scratch, "key.pem")
        root.mkdir()
        paths = make_files(root, case)
        key.write_bytes(signer.private_pem())
        config = model_signing.signing.Config().use_elliptic_key_signer(private_key=key)
        contestants: dict[str, Callable[[], object]] = {
            "bare": lambda: bare(paths),
            "sluicegate": lambda: seal(root, signer),
            "model_signing": lambda: config.sign(root, Path(scratch, "theirs.sig")),
        }
        bare(paths)  # warms the page cache
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(case.rounds):
            for name, run in contestants.items():
                start = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return Row(case.name, median["sluicegate"], median["model_signing"], median["bare"])


def main() -> int:
    """Measure, print a table, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small trees, a few seconds")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    arguments = parser.parse_args()
    signer = generate(Algorithm.ECDSA_P256)
    print(f"| {N_CORES} cores | sluicegate | model_signing | bare | times faster | of bare |")
    print("|---|---:|---:|---:|---:|---:|")
    rows = []
    for case in QUICK if arguments.quick else FULL:
        row = measure(case, signer)
        rows.append(row)
        print(
            f"| {row.name} | {row.sluicegate_s:.3f} s | {row.model_signing_s:.3f} s "
            f"| {row.bare_s:.3f} s | {row.times_model_signing:.1f} | {row.times_bare:.2f} |",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
