"""House rules that no linter knows: names, sizes, places."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "tasks", "quality", "bi_app", "warehouse", "deployments")
TOP_LEVEL = (
    *PACKAGES,
    "prefect.yaml",
    "tests",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    ".ci/run",
    ".gitignore",
    ".pre-commit-config.yaml",
)
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc"}
LONGEST = 50
LOCKS = ("requirements.lock", "requirements-dev.lock")
ENVIRONMENT = re.compile(
    r"\bos\.(getenv|putenv|environ(?!\[\S+\] = ))\b"
)  # telling a library is no reading
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")


def _tracked(*patterns: str) -> list[Path]:
    """Files of the house: what git knows, or what is there where git is not."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout:
        found = [ROOT / line for line in done.stdout.splitlines()]
    else:
        found = [p for name in PACKAGES for p in (ROOT / name).rglob("*.py")]
    return [path for path in found if path.is_file()]


PYTHON = _tracked("*.py")
OURS = [p for p in PYTHON if p.relative_to(ROOT).parts[0] in PACKAGES]


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_top_level_is_complete(name: str) -> None:
    assert (ROOT / name).exists()


def test_no_stray_module_at_the_top() -> None:
    known = {*PACKAGES, "tests", "benchmarks", "docs"}
    folders = {p.relative_to(ROOT).parts[0] for p in PYTHON}
    assert folders <= known


def test_no_file_is_a_drawer_for_anything() -> None:
    assert not [str(p) for p in PYTHON if p.stem in NO_NAMES or p.parent.name in NO_NAMES]


def test_functions_are_short() -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in OURS
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, kinds) and (node.end_lineno or 0) - node.lineno >= LONGEST
    ]
    assert not long


def test_settings_alone_read_the_environment() -> None:
    readers = {str(p.relative_to(ROOT)) for p in OURS if ENVIRONMENT.search(p.read_text("utf-8"))}
    assert readers <= {"warehouse/settings.py"}


def test_soda_is_imported_in_one_file() -> None:
    imports = re.compile(r"^\s*(from|import) soda", re.MULTILINE)
    assert len([p for p in OURS if imports.search(p.read_text("utf-8"))]) <= 1


def test_no_emoji() -> None:
    texts = [p for p in _tracked("*.py", "*.md", "*.sql", "*.yml", "*.yaml") if p.exists()]
    assert not [str(p) for p in texts if EMOJI.search(p.read_text("utf-8", errors="replace"))]


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text
    assert not re.search(
        r"^--?(index-url|extra-index-url|find-links|trusted-host|[if]\b)", text, re.M
    )
    assert not re.search(r"\b[\w-]+\.(org|com|net|io)\b", text)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_with_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    pins = re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(pins) > 100
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)


def test_development_lock_holds_the_runtime_one() -> None:
    pins = [set(re.findall(r"^\S+==\S+", (ROOT / lock).read_text(), re.M)) for lock in LOCKS]
    assert pins[0] <= pins[1]


def test_ci_runs_the_same_commands() -> None:
    text = (ROOT / ".ci/run").read_text("utf-8")
    assert "CARREL_STRICT=1" in text
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_settings_have_a_sentence_each() -> None:
    from warehouse.settings import Settings

    assert all((field.description or "").strip() for field in Settings.model_fields.values())
