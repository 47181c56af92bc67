"""One byte of a stored file is changed at random: nobody crashes, nobody believes something else.

The full number of edits is run before a release: SLUICEGATE_FUZZ_EDITS=2000.
"""

from __future__ import annotations

import os
import random
import shutil

import pytest
from tests.fuzz.edited_site import REFUSED, believed, build, edited
from tests.unit.workflow.conftest import Site, built_site  # noqa: F401 - a fixture

N_EDITS = int(os.environ.get("SLUICEGATE_FUZZ_EDITS", "150"))
KINDS = {
    "policy": 2, "trust": 3, "schema": 1, "baseline": 3, "waiver": 2, "evidence": 4, "ledger": 5
}  # fmt: skip


@pytest.fixture(scope="module")
def targets(built_site, tmp_path_factory):  # noqa: F811
    root = tmp_path_factory.mktemp("edited") / "site"
    shutil.copytree(built_site, root)
    return build(Site(root))


@pytest.fixture(scope="module")
def beliefs(targets):
    found = {kind: [believed(ask) for ask in item.readers] for kind, item in targets.items()}
    assert not [kind for kind, said in found.items() if REFUSED in said], "sound so far"
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_edit_of_one_byte_crashes_nobody_and_fools_nobody(kind, targets, beliefs):
    target, draw = targets[kind], random.Random(f"edits of {kind}")
    for number in range(-(-N_EDITS * KINDS[kind] // sum(KINDS.values()))):
        path = draw.choice(target.paths)
        data = bytearray(path.read_bytes())
        place = draw.randrange(len(data))
        data[place] ^= draw.randrange(1, 256)
        with edited(path, bytes(data)):
            said = [believed(reader) for reader in target.readers]
        where = f"edit {number}: {path.name} at byte {place} is {data[place]:#04x}"
        if target.exact:
            assert said[0] is REFUSED, where
        elif not target.free:
            for before, after in zip(beliefs[kind], said, strict=True):
                assert after is REFUSED or after == before, where
