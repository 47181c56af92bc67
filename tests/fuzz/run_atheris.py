"""Fuzz one parser, guided by coverage.

    python tests/fuzz/run_atheris.py trust -max_total_time=60

Further arguments are libFuzzer's. A crash leaves its input in the working directory: make it a
test of that parser. Needs atheris.
"""

import sys
from pathlib import Path
from types import ModuleType

import atheris

# Some installed distribution brings a package `tests`, which would go before ours.
sys.modules["tests"] = ModuleType("tests")
sys.modules["tests"].__path__ = [str(Path(__file__).parents[1])]
with atheris.instrument_imports(include=["sluicegate"]):
    from tests.fuzz.targets import TARGETS, check


def main() -> None:
    name, *rest = sys.argv[1:]
    corpus = Path.cwd() / f"corpus-{name.replace(' ', '-')}"
    corpus.mkdir(exist_ok=True)
    (corpus / "seed").write_bytes(TARGETS[name].seed)
    atheris.Setup([sys.argv[0], str(corpus), *rest], lambda data: check(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
