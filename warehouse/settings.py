"""Every setting, its default and one sentence. Nothing else reads the environment.

A setting is read from `CARREL_<NAME>`, then from `.carrel/settings.env`, then from the settings
file (`carrel.toml` in the home, or the one that CARREL_SETTINGS names), then from its default.
What `carrel up` finds out while it starts (ports, place of the data) stands in
`.carrel/stack.json`; what it generates (passwords, keys) in `.carrel/secrets.json`, mode 0600.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy.engine import URL, make_url

from warehouse import settings_file, zones
from warehouse.errors import ConfigurationError
from warehouse.settings_file import Told

ROOT = Path(__file__).resolve().parent.parent
LOGINS = ("owner", "app", "admin", "librarian", "member")
KEYS = (
    "claim_key",
    "pseudonym_key",
    "cookie_key",
    "audit_key",
    "factor_key",
    "superuser",
    "token_key",
)
OUTSIDE = {"CARREL_SETTINGS", "CARREL_PYTHON"}  # read by other parts than `Settings`
FILED: ContextVar[dict[str, Any]] = ContextVar("filed")  # what the settings file says


class Settings(BaseSettings):
    """The settings of one Carrel."""

    model_config = SettingsConfigDict(env_prefix="CARREL_", extra="forbid", frozen=True)

    home: Path = Field(ROOT / ".carrel", description="Folder of state: ports, secrets, logs, data")
    project: Path = Field(ROOT / "local", description="Folder of your own datasets and pages")
    landing: Path | None = Field(
        None,
        description="Folder that relative source paths start from; default: landing in the home",
    )
    database_url: SecretStr | None = Field(
        None, description="Your own PostgreSQL 15 or newer; default: the embedded one"
    )
    database: str = Field("carrel", description="Name of the database in the embedded PostgreSQL")
    role_prefix: str = Field("carrel", description="Prefix of the login roles made in PostgreSQL")
    pg_port: int = Field(
        5432, ge=1, le=65535, description="First port tried for the embedded PostgreSQL"
    )
    prefect_port: int = Field(
        4200, ge=1, le=65535, description="First port tried for the Prefect server"
    )
    app_port: int = Field(5006, ge=1, le=65535, description="First port tried for the web app")
    api_port: int = Field(5080, ge=1, le=65535, description="First port tried for the REST API")
    api_rate: int = Field(
        1200, ge=1, description="Requests a minute that one account may send to the REST API"
    )
    api_export_rate: int = Field(
        30, ge=1, description="Files a minute that one account may have from the REST API"
    )
    api_address_rate: int = Field(
        3000, ge=1, description="Requests a minute that one address may send to the REST API"
    )
    app_processes: int = Field(
        1, ge=1, le=32, description="Processes of the web app; several stand behind a sticky proxy"
    )
    app_listen: str = Field(
        "127.0.0.1",
        description="Address that the web app listens on; beyond this machine it needs TLS, here or"
        " at a declared proxy, and CARREL_APP_URL",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file of the web app's certificate and chain; default: no TLS here"
    )
    tls_key: Path | None = Field(None, description="PEM file of its key, without a passphrase")
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks of proxies, comma separated, whose word on a browser's"
        " address and TLS counts (X-Forwarded-For, X-Forwarded-Proto); default: nobody's",
    )
    prefect_database_url: SecretStr | None = Field(
        None, description="Prefect's own database; default: SQLite in the home"
    )
    prefect_api_url: str | None = Field(
        None, description="API of your own Prefect server or of Prefect Cloud; default: a local one"
    )
    backup_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Key of encrypted backups, 16 characters or more; default: not encrypted",
    )
    shared: Path = Field(
        ROOT.parent / "shared", description="Folder of the real data that some tests read"
    )
    strict: bool = Field(False, description="Tests fail where they would skip for want of data")
    chromium: Path | None = Field(
        None, description="Chromium that the page tests use; default: the one in PATH"
    )
    demo: bool = Field(False, description="Well-known demo sign-ins; refused beyond loopback")
    currency: str = Field(
        "",
        pattern="^([A-Z]{3})?$",
        description="ISO code of amounts, such as EUR; default: none said",
    )
    language: str = Field(
        "en",
        pattern="^[a-z]{2,3}$",
        description="Language of pages and mails for those whose account and browser name none that"
        " Carrel speaks: `en` or `de`",
    )
    stale_h: float = Field(
        48, gt=0, description="Hours without news after which figures on a page are greyed"
    )
    suppress_below: int = Field(
        5,
        ge=3,
        description="Smallest number of people that a published count may tell, 3 or more"
        " (docs/suppression.md)",
    )
    timezone: str = Field("Europe/London", description="Time zone of schedules and of day bounds")
    paper: Literal["A4", "Letter"] = Field("A4", description="Size of the pages of a PDF")
    pdf_font: Path | None = Field(
        None,
        description="TrueType or OpenType file for letters of PDFs beyond Latin, Greek and"
        " Cyrillic; default: such letters are shown as question marks",
    )
    closed_days: str = Field(
        "",
        description="Days on which nothing is expected, comma separated: `2026-04-03`, or `12-25`"
        " for every year. Weekdays that are always closed are found without it",
    )
    log_level: str = Field(
        "INFO",
        pattern="(?i)^(debug|info|warning|error|critical)$",
        description="Lowest level of log line written",
    )
    load_memory_mb: int = Field(512, ge=64, description="Memory DuckDB may use in a load, in MB")
    lock_wait_s: float = Field(
        600, ge=0, description="Seconds a run waits for another of its dataset"
    )
    http_hosts: str = Field(
        "",
        description="Hosts that http and oai_pmh sources and the webhook may ask, comma separated,"
        " `*.` for what is below one; default: any public one. A private address must be named here"
        " by its host",
    )
    http_max_mb: float = Field(256, gt=0, description="Most that one answer may hold, in MB")
    remote_attempts: int = Field(4, ge=1, description="Times that a remote source is asked in all")
    remote_wait_s: float = Field(
        0.5, ge=0, description="Seconds before the second time; doubled each time, with jitter"
    )
    remote_patience_s: float = Field(
        120, ge=0, description="Longest that a source may tell us to wait, in seconds"
    )
    breaker_failures: int = Field(
        5, ge=1, description="Failures in a row after which a remote host is left alone"
    )
    breaker_pause_s: float = Field(60, gt=0, description="Seconds that a host is left alone")
    score_parts: str = Field(
        "",
        description="Weights of parts in a dataset's health score, as `rules=2,freshness=0`;"
        " default: 1 each (docs/quality.md)",
    )
    score_severities: str = Field(
        "critical=3,warning=1,info=0",
        description="Weights of checks in a part of the health score, by severity",
    )
    score_datasets: str = Field(
        "",
        description="Weights of datasets in the score of their pipeline and of the whole, as"
        " `library_fines=0.5`; default: 1 each",
    )
    alert_mail_to: str = Field(
        "",
        description="Addresses that alerts are mailed to, comma separated;"
        " `critical=ann@example.org` is told of that severity and worse alone; default: no mail",
    )
    alert_webhook: str = Field("", description="URL that alerts are posted to; default: none")
    alert_least: Literal["info", "warning", "critical"] = Field(
        "warning", description="Least severity that is mailed and posted"
    )
    alert_digest_min: float = Field(
        10, ge=0, description="Minutes that alerts are gathered for one mail; critical ones are not"
    )
    alert_quiet: str = Field(
        "",
        pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$",
        description="Hours without mail, as `22:00-07:00`; default: none",
    )
    alert_timezone: str | None = Field(
        None, description="Time zone of the hours without mail; default: that of the schedules"
    )
    alert_quiet_critical: bool = Field(
        True, description="Critical alerts are mailed in the hours without mail, too"
    )
    app_url: str | None = Field(
        None, description="Address that links in mails begin with; default: the local app's"
    )
    mail_from: str = Field("carrel@localhost", description="Address that mails come from")
    smtp_host: str = Field("localhost", description="Mail server")
    smtp_port: int = Field(587, ge=1, le=65535, description="Its port")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How mail is sealed on its way; with `none` no password is sent"
    )
    smtp_user: str | None = Field(
        None, description="Name to sign in with; the password is the secret `smtp_password`"
    )
    smtp_ca: Path | None = Field(
        None, description="File of authorities to trust the mail server by; default: the system's"
    )
    audit_days: int | None = Field(
        None, ge=30, description="Days that the audit log is kept; default: for ever"
    )
    session_idle_min: int = Field(
        60, ge=1, description="Minutes without a request that end a session"
    )
    session_hours: int = Field(12, ge=1, description="Hours after which a session ends in any case")
    registration: Literal["off", "mail", "approval"] = Field(
        "off",
        description="Who may register as a member: nobody, who proves an e-mail address, or whom an"
        " admin approves",
    )
    invite_hours: int = Field(72, ge=1, description="Hours that a link into an account is good for")
    reset_min: int = Field(
        30, ge=5, description="Minutes that a link to a new password is good for"
    )
    breached_passwords: Path | None = Field(
        None,
        description="File of SHA-1 hashes of passwords to refuse, sorted, one a line, as Have I"
        " Been Pwned gives it; default: only the common ones that come with Carrel",
    )
    second_factor: str = Field(
        "",
        pattern=r"^$|^(admin|librarian|member)(, ?(admin|librarian|member))*$",
        description="Roles that must have a second factor, comma separated; others may",
    )
    sign_in_days: int = Field(
        180, ge=1, description="Days after which sign-ins and ended sessions are forgotten"
    )
    oidc_issuer: str = Field(
        "", description="Address of a provider of OpenID Connect; default: passwords alone"
    )
    oidc_client_id: str = Field(
        "", description="Our name at the provider; the secret `oidc_client_secret` goes with it"
    )
    oidc_name: str = Field("your organisation", description="What the button to the provider says")
    oidc_scope: str = Field("openid email profile", description="What the provider is asked for")
    oidc_role_claim: str = Field(
        "", description="Claim that says who has which role, such as `groups`; default: none does"
    )
    oidc_roles: str = Field(
        "",
        description="Role by value of that claim, as `desk=librarian,it=admin`; the highest counts",
    )
    oidc_branch_claim: str = Field(
        "", description="Claim with a librarian's branches; default: an admin sets them"
    )
    oidc_member_claim: str = Field(
        "", description="Claim with the member number, which links the loans; default: none"
    )
    oidc_unknown: Literal["refuse", "member"] = Field(
        "refuse", description="What becomes of people from the provider who have no account"
    )

    stream: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether `carrel up` keeps a consumer of the stream running; `auto`: where a"
        " broker is set, or the folder log has been written to",
    )
    stream_report_s: float = Field(
        10, ge=0.1, description="Seconds between two reports of a running consumer"
    )
    stream_log: Path | None = Field(
        None, description="Folder of the event log; default: stream in the home"
    )
    stream_fsync: Literal["flush", "segment", "never"] = Field(
        "flush",
        description="When the folder log is put on disk: at every flush of a producer, when a"
        " segment is full, or when the system sees fit",
    )
    stream_batch: int = Field(
        25_000, ge=1, le=200_000, description="Most events in one transaction of the stream"
    )
    stream_lease_s: float = Field(
        15, ge=1, description="Seconds after which another consumer may take a silent one's share"
    )
    kafka_bootstrap: str = Field(
        "", description="Kafka's brokers, as `host:port,...`; default: the folder log"
    )
    kafka_security: Literal["plaintext", "ssl", "sasl_ssl"] = Field(
        "plaintext", description="How Kafka is reached: without TLS, with it, with a sign-in too"
    )
    kafka_ca: Path | None = Field(
        None, description="File of authorities to trust Kafka by; default: the system's"
    )
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How we sign in to Kafka"
    )
    kafka_user: str = Field(
        "", description="Name to sign in to Kafka with; the password is the secret `kafka_password`"
    )
    kafka_replicas: int = Field(1, ge=1, description="Copies that Kafka keeps of a topic we make")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over `settings.env`, that over the settings file."""
        filed = InitSettingsSource(settings_cls, init_kwargs=FILED.get({}))
        return init_settings, env_settings, dotenv_settings, filed

    @field_validator("timezone", "alert_timezone")
    @classmethod
    def _is_zone(cls, name: str | None) -> str | None:
        return name and zones.known(name)

    @property
    def stream_folder(self) -> Path:
        """Where the folder log stands."""
        return self.stream_log or self.home / "stream"

    @cached_property
    def landing_folder(self) -> Path:
        """Where relative source paths start."""
        return self.landing or self.home / "landing"

    @property
    def kept_files(self) -> Path:
        """Where sources that are no text are kept, each under its SHA-256."""
        return self.home / "files"

    @cached_property
    def stack(self) -> dict[str, Any]:
        """What `carrel up` found out, or nothing."""
        path = self.home / "stack.json"
        return json.loads(path.read_text()) if path.exists() else {}

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Generated passwords (one a login) and keys; made once, readable by the owner alone."""
        path = self.home / "secrets.json"
        if not path.exists():
            _write_new(path, {n: secrets.token_urlsafe(32) for n in (*LOGINS, *KEYS)})
        known = dict(json.loads(path.read_text()))
        return known if known.keys() >= {*LOGINS, *KEYS} else _complete(path)

    @property
    def mails(self) -> bool:
        """Whether a mail server was set: without one, links are handed over by an admin."""
        return "smtp_host" in self.model_fields_set

    @property
    def library_variables(self) -> dict[str, str]:
        """What our libraries read from the environment: no telemetry, Prefect's state at home."""
        variables = {
            "DO_NOT_TRACK": "1",
            "SODA_CORE_TELEMETRY_ENABLED": "false",
            "PREFECT_HOME": str(self.home.resolve() / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # Its second page asks a stranger (amplitude.com) for its settings all the same.
            "PREFECT_SERVER_UI_V2_ENABLED": "false",
            "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P7D",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
            # On disk: leases kept in memory die with the server, and the slot is never free again.
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
                "prefect.server.concurrency.lease_storage.filesystem"
            ),
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "3",
            "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
            "PREFECT_LOGGING_SETTINGS_PATH": str(ROOT / "flows" / "logging.yml"),
        }
        if self.prefect_database_url:
            secret = self.prefect_database_url.get_secret_value()
            variables["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = secret
        if api := self.prefect_api:
            variables |= {"PREFECT_API_URL": api, "PREFECT_SERVER_UI_API_URL": api}
        return variables

    @property
    def prefect_api(self) -> str | None:
        """Where Prefect's API answers: your own, or the one that `carrel up` started."""
        port = self.stack.get("prefect_port")
        return self.prefect_api_url or (f"http://127.0.0.1:{port}/api" if port else None)

    @property
    def app_address(self) -> str:
        """Where links to the app begin: your own address, or that of the app on this machine."""
        scheme = "https" if self.tls_certificate else "http"
        local = f"{scheme}://127.0.0.1:{self.stack.get('app_port') or self.app_port}"
        return (self.app_url or local).rstrip("/")

    def url(self, login: str = "owner") -> URL:
        """The database URL of a login: `owner`, `app`, or a viewer role.

        Raises:
            ConfigurationError: no database is set and none has been started.
        """
        if self.database_url:
            base = make_url(self.database_url.get_secret_value())
        elif "pg_port" in self.stack:
            base = URL.create(
                "postgresql",
                self.login("owner"),
                self.secrets["owner"],
                "127.0.0.1",
                self.stack["pg_port"],
                self.database,
            )
        else:
            raise ConfigurationError(
                "No database is running.",
                remedy="Start it with `carrel up`, or set CARREL_DATABASE_URL.",
            )
        base = base.set(drivername="postgresql+psycopg")
        if login == "owner":
            return base
        return base.set(username=self.login(login), password=self.secrets[login])

    def login(self, name: str) -> str:
        """The PostgreSQL role of a login."""
        return f"{self.role_prefix}_{name}"


def _write_new(path: Path, content: dict[str, str]) -> None:
    """Write a file that only its owner can read, unless another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(content, indent=1))
    draft.chmod(0o600)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def change_secrets(values: dict[str, str]) -> dict[str, str]:
    """Put values into `secrets.json`, in one step and readable by the owner alone; return all."""
    folder = settings().home
    known = settings().secrets  # makes the file where there is none
    with (folder / "secrets.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / "secrets.json"
        known = json.loads(path.read_text()) | values
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(known, indent=1))
        draft.replace(path)
    settings.cache_clear()
    return dict(known)


def _complete(path: Path) -> dict[str, str]:
    """Add what a newer Carrel needs to a file of secrets; of several processes, one does."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = dict(json.loads(path.read_text()))
        missing = [n for n in (*LOGINS, *KEYS) if n not in known]
        if missing:
            known |= {n: secrets.token_urlsafe(32) for n in missing}
            draft = path.with_suffix(f".{os.getpid()}")
            draft.touch(0o600)
            draft.write_text(json.dumps(known, indent=1))
            draft.replace(path)
    return known


def child_environment(**extra: str) -> dict[str, str]:
    """The environment of a process that we start."""
    return os.environ | settings().library_variables | extra


def tell_libraries(**extra: str) -> None:
    """Put `library_variables` into this process's environment; before Prefect is imported."""
    os.environ.update(settings().library_variables | extra)


@cache
def settings() -> Settings:
    """The settings of this process; `settings.cache_clear()` makes the next call read anew.

    Raises:
        ConfigurationError: naming every setting that is wrong.
    """
    told = filed()
    token = FILED.set(told.values if told else {})
    try:
        return Settings(_env_file=_env_file(told))
    except ValidationError as error:
        raise _wrong(error, told) from error
    finally:
        FILED.reset(token)


def filed() -> Told | None:
    """What the settings file says, where there is one.

    Raises:
        ConfigurationError: it cannot be read, or a line of it is wrong.
    """
    named = os.environ.get("CARREL_SETTINGS", "")
    if named:
        return settings_file.read(Path(named), Settings.model_fields)
    path = Path(os.environ.get("CARREL_HOME", ROOT / ".carrel")) / settings_file.NAME
    if not path.exists():
        return None
    return settings_file.read(path, Settings.model_fields, found_by_home=True)


def origins() -> dict[str, str]:
    """Where each setting came from: environment, settings.env, a line of the file, or default."""
    told = filed()
    found = dict.fromkeys(Settings.model_fields, "default")
    found |= {name: told.place(name) for name in told.values} if told else {}
    path = _env_file(told)
    kept = DotEnvSettingsSource(Settings, env_file=path).env_vars
    for place, names in ((str(path), _names(kept)), ("environment", _names(os.environ))):
        found |= {name: place for name in found if name in names}
    return found


def misspelt() -> list[str]:
    """Variables of the environment that look like settings and are none.

    The programs do not refuse them, as other tools may have variables of this prefix, too.
    """
    names = {v for v in os.environ if v.startswith("CARREL_") and v not in OUTSIDE}
    others = {v for v in names if v.startswith("CARREL_SECRET_")}
    known = {f"CARREL_{name.upper()}" for name in Settings.model_fields}
    return sorted(names - others - known)


def _names(variables: Iterable[str]) -> set[str]:
    """The settings that variables set."""
    return {v.lower().removeprefix("carrel_") for v in variables if v.lower().startswith("carrel_")}


def _env_file(told: Told | None) -> Path:
    home = os.environ.get("CARREL_HOME") or (told.values.get("home") if told else None)
    return Path(home or ROOT / ".carrel") / "settings.env"


def _wrong(error: ValidationError, told: Told | None) -> ConfigurationError:
    """What is wrong, by the place where it was set."""
    places, fields = origins(), Settings.model_fields
    faults, rules = list[str](), list[str]()
    for one in error.errors():
        name, message = str(one["loc"][0]), one["msg"].removeprefix("Value error, ")
        if told and name in fields and places[name] == told.place(name):
            return settings_file.wrong(told, name, fields[name], message)
        if name not in fields:
            near = settings_file.nearest(name, fields)
            faults.append(f"{_env_file(told)}: {name.upper()} is no setting. {near}")
        else:
            faults.append(f"CARREL_{name.upper()}: {message}")
            rules.append(settings_file.rule(name, fields[name]))
    return ConfigurationError(f"A setting is wrong: {'; '.join(faults)}.", remedy=" ".join(rules))


def secret(name: str) -> str:
    """The secret called `name`: from CARREL_SECRET_<NAME>, else the file `secrets/<name>` at home.

    Raises:
        ConfigurationError: there is none, it is empty, or others than its owner may read the file.
    """
    variable = f"CARREL_SECRET_{name.upper()}"
    if value := os.environ.get(variable, "").strip():
        return value
    if not name.isidentifier():
        raise ConfigurationError(f"{name!r} is no name of a secret.", remedy="Use letters and _.")
    path = settings().home / "secrets" / name
    try:
        open_to_others = path.stat().st_mode & 0o077
        value = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError(
            f"The secret {name!r} is not set.",
            remedy=f"Set {variable}, or write it to {path} and run `chmod 600` on it.",
        ) from None
    if open_to_others:
        raise ConfigurationError(
            f"{path} can be read by others.", remedy=f"Run `chmod 600 {path}`."
        )
    if not value:
        raise ConfigurationError(f"{path} is empty.", remedy="Write the secret to it.")
    return value
