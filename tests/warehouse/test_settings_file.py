"""The settings file: what it sets, what wins over it, and what is refused with its line."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse import settings_file
from warehouse.errors import ConfigurationError
from warehouse.settings import Settings, origins, settings

FIELDS = Settings.model_fields


@pytest.fixture
def file(setting: Callable[..., None], tmp_path: Path) -> Callable[[str], Path]:
    """Write the settings file of a home of its own."""

    def write(text: str) -> Path:
        path = tmp_path / "carrel.toml"
        path.write_text(text)
        setting(home=tmp_path)
        return path

    return write


def test_every_setting_that_is_no_secret_can_stand_in_it(file: Callable[[str], Path]) -> None:
    lines = [
        f"{name} = {settings_file.default(field) or chr(34) * 2}"
        for name, field in FIELDS.items()
        if not settings_file.is_secret(field) and name not in ("home", "audit_days")
    ]
    assert len(lines) >= 30
    path = file("\n".join(lines))
    told = settings_file.read(path, FIELDS)
    assert len(told.values) == len(lines)
    assert settings().api_rate == 1200


@pytest.mark.parametrize("name", FIELDS)
def test_each_says_its_type_range_and_default(name: str) -> None:
    field = FIELDS[name]
    assert field.description
    assert settings_file.kind(field)
    assert settings_file.span(field)
    number = settings_file.kind(field) in ("whole number", "number")
    assert not number or settings_file.span(field) != "any"  # a number without a range is none
    assert field.default is None or tomllib.loads(f"a = {settings_file.default(field)}")


def test_there_are_thirty_and_more() -> None:
    assert len(FIELDS) >= 30


def test_environment_over_settings_env_over_file_over_default(
    file: Callable[[str], Path], setting: Callable[..., None]
) -> None:
    path = file('# ours\napi_rate = 1\napi_export_rate = 2\nstream_batch = 3\npaper = "Letter"\n')
    (path.parent / "settings.env").write_text("CARREL_API_RATE=10\nCARREL_API_EXPORT_RATE=20\n")
    setting(api_rate=100)
    now = settings()
    assert (now.api_rate, now.api_export_rate, now.stream_batch, now.paper) == (
        100, 20, 3, "Letter",
    )  # fmt: skip
    assert now.stale_h == 48
    found = origins()
    assert found["api_rate"] == "environment"
    assert found["api_export_rate"] == str(path.parent / "settings.env")
    assert found["stream_batch"] == f"{path}, line 4"
    assert found["stale_h"] == "default"


def test_what_the_file_sets_counts_as_set(file: Callable[[str], Path]) -> None:
    file('smtp_host = "mail.example.org"')
    assert settings().mails


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("\napi_rat = 1", 2, ("api_rat: is no setting", "Did you mean api_rate?")),
        ("CARREL_PG_PORT = 1", 1, ("is no setting", "Did you mean pg_port?")),
        ("zzzzzz = 1", 1, ("is no setting", "`carrel settings` lists all")),
        ("# a\n\n[api]\nrate = 1", 3, ("api: is no setting",)),
        ("smtp_password = 'x'", 1, ("is no setting", "CARREL_SECRET_SMTP_PASSWORD")),
        (
            "database_url = 'postgresql://u:hush@h/d'",  # pragma: allowlist secret
            1,
            ("a secret does not stand", "chmod 600"),
        ),  # pragma: allowlist secret
        ("backup_key = 'hush hush hush hush'", 1, ("a secret does not stand", "CARREL_BACKUP_KEY")),
        ("a1 = 1\nb2 = 2", 1, ("is no setting",)),
        ("paper = 'A5'", 1, ("'A4' or 'Letter'", "one of A4, Letter")),
        ("\n\nsmtp_port = 70000", 3, ("less than or equal to 65535", "1 to 65535")),
        ("smtp_port = 0", 1, ("greater than or equal to 1",)),
        ("pg_port = '5432'", 1, ("'5432' is no whole number", "pg_port is a whole number")),
        ("pg_port = 5.5", 1, ("is no whole number",)),
        ("api_rate = true", 1, ("True is no whole number",)),
        ("strict = 1", 1, ("is no true or false",)),
        ("strict = 'yes'", 1, ("is no true or false",)),
        ("lock_wait_s = inf", 1, ("is no number",)),
        ("lock_wait_s = nan", 1, ("is no number",)),
        ("timezone = 3", 1, ("is no text",)),
        ("timezone = 'Mars/Olympus'", 1, ("'Mars/Olympus' is no time zone",)),
        ("alert_timezone = 'Europe'", 1, ("'Europe' is no time zone",)),
        ("landing = ['a']", 1, ("is no path",)),
        ("closed_days = 2026-01-01", 1, ("is no text",)),
        ("currency = 'euro'", 1, ("String should match", "fits ^([A-Z]{3})?$")),
        ("log_level = 'loud'", 1, ("log_level",)),
        ("home = '/elsewhere'", 1, ("cannot move it", "CARREL_SETTINGS")),
    ],
)
def test_what_is_wrong_is_named(
    file: Callable[[str], Path], text: str, line: int, words: tuple[str, ...]
) -> None:
    path = file(text)
    with pytest.raises(ConfigurationError) as refused:
        settings()
    assert refused.value.message.startswith(f"{path}, line {line}: "), refused.value.message
    assert refused.value.remedy
    assert all(word in str(refused.value) for word in words), str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("content", [b"api_rate 1", b"api_rate = 1\napi_rate = 2", b"a = '\xff'"])
def test_what_is_no_toml_is_refused(
    file: Callable[[str], Path], setting: Callable[..., None], content: bytes
) -> None:
    path = file("")
    path.write_bytes(content)
    setting()
    with pytest.raises(ConfigurationError, match="is not TOML") as refused:
        settings()
    assert str(path) in refused.value.message


def test_the_file_that_is_named_is_read_and_may_name_the_home(
    file: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file("api_rate = 5")
    named = tmp_path / "other.toml"
    named.write_text(f'home = "{tmp_path / "other home"}"\napi_rate = 6')
    monkeypatch.setenv("CARREL_SETTINGS", str(named))
    monkeypatch.delenv("CARREL_HOME")
    settings.cache_clear()
    assert (settings().api_rate, settings().home) == (6, tmp_path / "other home")
    monkeypatch.setenv("CARREL_SETTINGS", str(tmp_path / "none.toml"))
    settings.cache_clear()
    with pytest.raises(ConfigurationError, match=r"none\.toml cannot be read"):
        settings()


def test_a_misspelt_line_of_settings_env_is_named_too(file: Callable[[str], Path]) -> None:
    path = file("")
    (path.parent / "settings.env").write_text("CARREL_PG_PORTS=1\n")
    with pytest.raises(ConfigurationError, match="CARREL_PG_PORTS is no setting") as refused:
        settings()
    assert "Did you mean pg_port?" in str(refused.value)


def test_an_environment_that_is_wrong_is_not_blamed_on_the_file(
    file: Callable[[str], Path], setting: Callable[..., None]
) -> None:
    file("pg_port = 70000")
    setting(pg_port=70001)
    with pytest.raises(ConfigurationError, match="CARREL_PG_PORT: ") as refused:
        settings()
    assert "1 to 65535" in (refused.value.remedy or "")


def test_no_line_is_read_from_elsewhere(file: Callable[[str], Path]) -> None:
    """A comment or a text that looks like the key does not give its line."""
    path = file('# api_rate = 1\noidc_name = "api_rate = 2"\n"api_rate" = 3\n')
    assert settings_file.read(path, FIELDS).lines == {"oidc_name": 2, "api_rate": 3}
    assert re.search("line 3$", origins()["api_rate"])
    assert "CARREL_SETTINGS" not in os.environ
