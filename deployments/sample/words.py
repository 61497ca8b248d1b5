"""The words of `words.yml`, from which titles, authors and members are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_read: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text("utf-8"))

ADJECTIVES: list[str] = _read["adjectives"]
NOUNS: list[str] = _read["nouns"]
PLACES: list[str] = _read["places"]
TRADES: list[str] = _read["trades"]
KIN: list[str] = _read["kin"]
SEASONS: list[str] = _read["seasons"]
CRIMES: list[str] = _read["crimes"]
CHILDREN: list[str] = _read["children"]
CREATURES: list[str] = _read["creatures"]
ANTICS: list[str] = _read["antics"]
PERIODICALS: list[str] = _read["periodicals"]
FIRST_NAMES: list[str] = _read["first_names"]
SURNAMES: list[str] = _read["surnames"]
SUBJECTS: list[tuple[str, str]] = list(_read["subjects"].items())
FOR_CHILDREN: list[str] = _read["for_children"]
ON_SUBJECTS: list[str] = _read["on_subjects"]
FOREIGN: dict[str, list[str]] = _read["foreign"]
AREAS = [f"A{n:02}" for n in range(1, 17)]
