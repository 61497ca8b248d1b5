"""Contracts and shared checks as written: YAML whose every key counts, none from outside."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from warehouse.errors import SpecError

OUTSIDE = re.compile(r"\$\{(?!soda\.)")  # ${env.X}, ${var.X}: text put in from outside


def read(path: Path) -> Any:
    """What a YAML file holds.

    Raises:
        SpecError: it is no YAML, a key is written twice, or a variable of Soda's is in it.
    """
    text = path.read_text("utf-8")
    if OUTSIDE.search(text):
        raise SpecError(path, "takes a variable from outside (`${…}`), which is raw SQL text")
    try:
        return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise SpecError(path, f"is not YAML: {error}") from error


class _UniqueKeys(yaml.SafeLoader):
    """A key written twice is an error; YAML's own way is that the last one wins."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [k.value for k, _ in node.value]
        if twice := {str(k) for k in keys if keys.count(k) > 1}:
            raise yaml.MarkedYAMLError(
                problem=f"key written twice: {', '.join(twice)}", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)
