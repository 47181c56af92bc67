"""Read a policy from its YAML file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from sluicegate.adapters.files.named_file import read_named
from sluicegate.errors import ConfigError
from sluicegate.gate.layers import merge, require_tighter
from sluicegate.gate.policy import Policy, parse_policy
from sluicegate.gate.policy_reader import PolicyReader

if TYPE_CHECKING:
    from pathlib import Path

_MAX_LAYERS = 8  # organisation, project and team need three; more is a maze
_MAX_BYTES = 1_000_000  # a policy is a page, not a data set


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys, which YAML would silently overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise yaml.constructor.ConstructorError(None, None, "duplicate key", node.start_mark)
        return dict(super().construct_mapping(node, deep=deep))


def load_yaml(raw: bytes, *, locator: str) -> Any:
    """Parse one YAML document strictly.

    Args:
        raw: The file's bytes, UTF-8, at most 1 MB.
        locator: File name for messages.

    Raises:
        ConfigError: The bytes are not YAML, or are too large; a key stands twice; or aliases
            nest without end. The message names the line but does not quote it.
    """
    if len(raw) > _MAX_BYTES:
        raise ConfigError("file is too large", locator=locator, expected=f"at most {_MAX_BYTES} B")
    try:
        return yaml.load(raw, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader subclass
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError, ValueError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        raise ConfigError(
            "file is not valid YAML",
            locator=locator if line is None else f"{locator}:{line + 1}",
            got=getattr(error, "problem", None) or type(error).__name__,
            next_step="Correct the file; half of it decides nothing.",
        ) from None  # the parser's own text quotes the line


def read_policy(path: Path) -> Policy:
    """Read and check a policy file, and the files that it extends.

    Args:
        path: YAML file. With ``extends: OTHER.yaml`` it names only what it changes, and it may
            only tighten. OTHER is looked up beside it. At most 8 files extend each other.

    Returns:
        The policy. If it has several layers, its bytes and digest are those of the merged
        policy: what the gate keeps can then be read without any of the files.

    Raises:
        ConfigError: A file is missing, unreadable or unusable; a layer weakens the one below;
            or files extend each other in a circle.
    """
    top, *below = _layers(path)
    if not below:
        return parse_policy(top.value, top.raw, locator=top.locator)
    *between, root = (top, *below)
    policy = parse_policy(root.value, root.raw, locator=root.locator)
    merged = root.value
    for layer in reversed(between):
        merged = merge(merged, _changes(layer))
        raw = yaml.safe_dump(merged, allow_unicode=True).encode()
        whole = parse_policy(merged, raw, locator=layer.locator)
        require_tighter(policy, whole, locator=layer.locator)
        policy = whole
    return policy


@dataclass(frozen=True, slots=True)
class _Layer:
    locator: str
    raw: bytes
    value: Any


def _layers(path: Path) -> list[_Layer]:
    """Return a policy's files, from the named one down to the one that extends nothing."""
    seen: list[Path] = []
    layers: list[_Layer] = []
    following: Path | None = path
    while following is not None:
        place = following.resolve()
        if place in seen or len(seen) == _MAX_LAYERS:
            raise ConfigError(
                "policies extend each other" if place in seen else "too many layers of policies",
                locator=str(following),
                expected=f"at most {_MAX_LAYERS} files, each once",
            )
        seen.append(place)
        raw = read_named(
            following,
            "the policy cannot be read",
            next_step="Create one with `sluicegate policy init`; without it nothing trains.",
        )
        layer = _Layer(str(following), raw, load_yaml(raw, locator=str(following)))
        layers.append(layer)
        following = _extended(following, layer)
    return layers


def _extended(path: Path, layer: _Layer) -> Path | None:
    if not isinstance(layer.value, dict) or "extends" not in layer.value:
        return None
    reader = PolicyReader(layer.locator)
    name = reader.text(layer.value["extends"], "extends")
    if "\0" in name:
        raise reader.error("extends", "the name of a file", "a NUL")
    return path.parent / name


def _changes(layer: _Layer) -> dict[str, Any]:
    reader = PolicyReader(layer.locator)
    changes = {key: item for key, item in layer.value.items() if key != "extends"}
    return dict(reader.mapping(changes, "the policy"))
