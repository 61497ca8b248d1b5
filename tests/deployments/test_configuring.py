"""`carrel settings`: each with its origin, no secret; and the example that ships."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli import app
from deployments.configuring import EXAMPLE, example_file
from warehouse.settings import Settings, settings
from warehouse.settings_file import is_secret

runner = CliRunner()


def say(*arguments: str, code: int = 0) -> str:
    done = runner.invoke(app, ["settings", *arguments])
    assert done.exit_code == code, done.stderr
    return done.stdout + (done.stderr if code else "")


def test_the_shipped_example_is_the_code() -> None:
    assert EXAMPLE.read_text("utf-8") == example_file(), (
        "run `carrel settings --example > deployments/carrel.example.toml`"
    )


def test_the_example_is_a_settings_file(tmp_path: Path, setting: Callable[..., None]) -> None:
    """Every default in it may be taken as it stands."""
    lines = re.findall(r"^# (\w+ = (?!.*# not set).+)$", example_file(), re.MULTILINE)
    named = {line.partition(" ")[0] for line in lines} | set(
        re.findall(r"^# (\w+) =  # not set$", example_file(), re.MULTILINE)
    )
    fields = Settings.model_fields.items()
    assert named == {name for name, field in fields if not is_secret(field)}
    (tmp_path / "carrel.toml").write_text(
        "\n".join(line for line in lines if not line.startswith("home"))
    )
    setting(home=tmp_path)
    assert settings().api_rate == Settings.model_fields["api_rate"].default


def test_each_is_shown_once_with_its_origin(tmp_path: Path, setting: Callable[..., None]) -> None:
    (tmp_path / "carrel.toml").write_text("api_rate = 7\n")
    setting(home=tmp_path, stale_h=9)
    shown = say().splitlines()
    assert [line.split()[0] for line in shown] == list(Settings.model_fields)
    assert f"api_rate               7{' ' * 43} {tmp_path / 'carrel.toml'}, line 1" in shown
    changed = say("--changed")
    assert re.search(r"^stale_h +9.0 +environment$", changed, re.MULTILINE)
    assert "paper" not in changed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "postgresql://u:hush@h/d"),  # pragma: allowlist secret
        ("backup_key", "hush hush hush hush hush"),
        ("alert_webhook", "https://u:hush@a.example.org/T0/hush"),  # pragma: allowlist secret
        ("prefect_api_url", "https://u:hush@a.example.org/api"),  # pragma: allowlist secret
    ],
)
def test_no_secret_is_shown(setting: Callable[..., None], name: str, value: str) -> None:
    setting(**{name: value})
    for told in (say(), say(name)):
        assert "hush" not in told
        assert re.search(r"\(set\)|example\.org/", told)


def test_one_setting_says_what_it_may_be() -> None:
    told = say("CARREL_PAPER")
    assert "one of A4, Letter" in told
    assert "Did you mean paper?" in say("papre", code=2)


def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, setting: Callable[..., None]) -> None:
    (tmp_path / "carrel.toml").write_text("\npg_prt = 1\n")
    setting(home=tmp_path)
    told = say(code=2)
    assert f"{tmp_path / 'carrel.toml'}, line 2: pg_prt: is no setting" in told
    assert "remedy: Did you mean pg_port?" in told


def test_a_misspelt_name_in_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARREL_SECRET_SHOP", "x")
    assert say("--changed")
    monkeypatch.setenv("CARREL_STREM_BATCH", "3")
    told = say(code=2)
    assert "CARREL_STREM_BATCH: no setting of that name" in told
    assert "Did you mean stream_batch?" in told
