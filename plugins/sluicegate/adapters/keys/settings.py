"""What the settings that say where keys are, are called. Specified in docs/keys.md.

Airflow reads these names whenever it starts, so this module imports nothing.
"""

from __future__ import annotations

from typing import Final

ENV_KEY: Final = "SLUICEGATE_KEY_"
"""Prefix; the role in capitals follows. Holds a PEM, or a reference to a key elsewhere."""

ENV_PIN: Final = "SLUICEGATE_PIN_"
"""Prefix; the role in capitals follows. Passphrase of a key file, or PIN of an HSM."""

ENV_COSIGN: Final = "SLUICEGATE_COSIGN_"
"""Prefix; the role in capitals follows. A comma list of references."""

SIGNING_ROLES: Final = ("source", "gate", "baseline", "waiver", "ledger")
"""Roles whose keys a running installation may use; `root` and `witness` live elsewhere."""
