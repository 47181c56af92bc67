"""Units of work for a long benchmark: run in processes, kept by line, measured again when stale.

Every finished unit is one line of a results file, with a digest of the code that decides. A second
call runs only units that are missing or were measured with other code.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Record = dict[str, Any]
"""What one case of a unit showed."""

Line = dict[str, Any]
"""Results of a unit: its name, the digest of the code, its records."""

# Small matrices: threads of BLAS in each of the processes would only fight for the cores.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

CODE = Path(__file__).resolve().parent.parent / "plugins" / "sluicegate"
DECIDING = ("signals", "profiling", "gate/decide.py")


class Named(Protocol):
    """A unit of work."""

    @property
    def name(self) -> str:
        """Identify the unit among results."""


U = TypeVar("U", bound=Named)


def parser(description: str, results: Path) -> argparse.ArgumentParser:
    """Return the options that every such benchmark has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--quick", action="store_true", help="a small part, about two minutes")
    options.add_argument(
        "--minutes", type=float, default=90.0, help="start nothing after this; 0: report only"
    )
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--results", type=Path, default=results)
    options.add_argument("--write", type=Path, help="Markdown file to write")
    return options


def measured(
    units: Sequence[U],
    run: Callable[[U], list[Record]],
    arguments: argparse.Namespace,
    deciding: Sequence[str] = (),
) -> tuple[dict[str, Line], str]:
    """Run what is missing or stale; return all results by unit, and the digest of today's code.

    Args:
        units: What to run, in this order.
        run: Measures one unit; it must be importable in a new process.
        arguments: As `parser` returns them. A quick run neither reads nor writes results.
        deciding: Code of the package that decides here, beyond `DECIDING`.
    """
    code = code_digest(deciding)
    names = {unit.name for unit in units}
    kept = {} if arguments.quick else read(arguments.results)
    results = {name: line for name, line in kept.items() if name in names}
    stale = [u for u in units if results.get(u.name, {}).get("code") != code]
    for line in _lines(stale, run, arguments):
        results[line["unit"]] = {**line, "code": code}
        if not arguments.quick:
            write(arguments.results, results)
    return results, code


def reported(
    units: Sequence[U],
    run: Callable[[U], list[Record]],
    write_up: Callable[..., str],
    arguments: argparse.Namespace,
    deciding: Sequence[str] = (),
) -> None:
    """Run what is missing or stale, and publish a report of all.

    Args:
        units: As for `measured`.
        run: As for `measured`.
        write_up: Makes text of records, ``n_units``, ``done`` and ``n_old``.
        arguments: As for `measured`.
        deciding: As for `measured`.
    """
    results, code = measured(units, run, arguments, deciding)
    text = write_up(
        [r for line in results.values() for r in line["records"]],
        n_units=len(units),
        done=len(results),
        n_old=sum(line["code"] != code for line in results.values()),
    )
    publish(text, arguments)


def publish(text: str, arguments: argparse.Namespace) -> None:
    """Write the report where the arguments say, or print it."""
    if arguments.write is not None:
        arguments.write.write_text(text, encoding="utf-8")
    else:
        print(text)


def code_digest(more: Sequence[str] = ()) -> str:
    """Identify the code that decides, so that results of other code are measured again."""
    digest = hashlib.sha256()
    for part in (*DECIDING, *more):
        path = CODE / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(CODE).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def read(path: Path) -> dict[str, Line]:
    """Return results by unit, the last of each, without a last line that was cut off."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    return {line["unit"]: line for line in map(json.loads, lines[:-1])}


def write(path: Path, results: dict[str, Line]) -> None:
    """Replace the file: one line a unit, sorted."""
    lines = (json.dumps(results[name], separators=(",", ":")) for name in sorted(results))
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _lines(
    units: Sequence[U], run: Callable[[U], list[Record]], arguments: argparse.Namespace
) -> Iterator[Line]:
    """Run units in processes until the time is over; yield each as it is finished."""
    deadline = time.monotonic() + 60.0 * arguments.minutes
    pending = iter(units if arguments.minutes > 0 else [])
    with ProcessPoolExecutor(arguments.jobs, get_context("spawn")) as pool:
        running = {pool.submit(_line, run, unit) for unit in islice(pending, arguments.jobs)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for line, cpu_s in (future.result() for future in done):
                print(f"{line['unit']}: {cpu_s:.1f} CPU s", flush=True)
                yield line
                if time.monotonic() < deadline:
                    running |= {pool.submit(_line, run, u) for u in islice(pending, 1)}


def _line(run: Callable[[U], list[Record]], unit: U) -> tuple[Line, float]:
    started = time.process_time()
    records = [
        {k: round(v, 5) if isinstance(v, float) else v for k, v in r.items()} for r in run(unit)
    ]
    return {"unit": unit.name, "records": records}, time.process_time() - started
