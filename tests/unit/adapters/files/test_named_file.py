"""A file that cannot be read is reported by name, as the kind of error its reader chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sluicegate.adapters.files.named_file import read_named
from sluicegate.errors import ConfigError, EvidenceMissing

if TYPE_CHECKING:
    from pathlib import Path


def test_bytes_of_a_readable_file_are_returned(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"\x00bytes")
    assert read_named(tmp_path / "a", "it cannot be read") == b"\x00bytes"


@pytest.mark.parametrize("name", ["missing", ".", "nul\0byte"])
@pytest.mark.parametrize("error", [ConfigError, EvidenceMissing])
def test_unreadable_file_raises_the_chosen_error_with_the_next_step(tmp_path: Path, name, error):
    with pytest.raises(error, match="it cannot be read") as caught:
        read_named(tmp_path / name, "it cannot be read", error=error, next_step="Do this.")
    assert "Do this." in str(caught.value)
