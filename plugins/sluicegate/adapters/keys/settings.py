"""Names of the settings that say where keys are. docs/keys.md specifies them.

Airflow reads these names whenever it starts, so this module imports nothing.
"""

from __future__ import annotations

from typing import Final

ENV_KEY: Final = "SLUICEGATE_KEY_"
"""Prefix of a variable; the role in capitals follows. It holds a PEM, or a reference to a key."""

ENV_PIN: Final = "SLUICEGATE_PIN_"
"""Prefix of a variable; the role follows. It holds a key file's passphrase, or an HSM's PIN."""

ENV_COSIGN: Final = "SLUICEGATE_COSIGN_"
"""Prefix of a variable; the role follows. It holds references, separated by commas."""

SIGNING_ROLES: Final = ("source", "gate", "baseline", "waiver", "ledger")
"""Roles whose keys a running installation may use; those of `root` and `witness` are elsewhere."""
