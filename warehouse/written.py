"""YAML as a person wrote it: a key that stands twice is an error, not the last one's win."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from warehouse.errors import SpecError

try:  # libyaml's, at a tenth of the time
    from yaml import CSafeLoader as Loader
except ImportError:
    from yaml import SafeLoader as Loader  # type: ignore[assignment]


def parsed(text: str, path: Path) -> Any:
    """What a YAML text holds; it came from `path`.

    Raises:
        SpecError: it is no YAML, or a key is written twice.
    """
    try:
        return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise SpecError(path, f"is not YAML: {error}") from error


class _UniqueKeys(Loader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [k.value for k, _ in node.value]
        if twice := {str(k) for k in keys if keys.count(k) > 1}:
            raise yaml.MarkedYAMLError(
                problem=f"key written twice: {', '.join(twice)}", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)
