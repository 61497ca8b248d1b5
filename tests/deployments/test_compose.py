"""The compose file: nothing open beyond this machine, nothing without a password, all pinned.

No Docker daemon is asked: the file is read as YAML, and its database script is run by a real
PostgreSQL.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from deployments.postgres import Server
from warehouse.settings import ROOT, Settings

FILE = ROOT / "deployments/compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
SERVICES = COMPOSE["services"]
DOCKER = (ROOT / "deployments/Dockerfile").read_text("utf-8")
OFFICIAL = {"postgres": "postgres", "kafka": "apache/kafka", "prefect": "prefecthq/prefect"}


def test_the_services_are_official_images_with_a_pinned_tag() -> None:
    assert set(SERVICES) == {*OFFICIAL, "carrel"}
    for name, image in OFFICIAL.items():
        found, _, tag = SERVICES[name]["image"].partition(":")
        assert found == image
        assert re.match(r"\d+\.\d+", tag), tag


def test_prefect_is_the_version_of_the_lock() -> None:
    (locked,) = re.findall(r"^prefect==(\S+)", (ROOT / "requirements.lock").read_text(), re.M)
    assert SERVICES["prefect"]["image"].startswith(f"prefecthq/prefect:{locked}-")


def test_no_registry_is_named() -> None:
    for text in (FILE.read_text(), DOCKER):
        images = re.findall(r"^\s*(?:image:|FROM)\s+(\S+)", text, re.M)
        assert images
        assert not [i for i in images if "." in i.partition("/")[0] and "/" in i]


def test_ports_are_published_on_this_machine_alone() -> None:
    ports = [p for s in SERVICES.values() for p in s["ports"]]
    assert len(ports) == 4
    assert all(p.startswith("127.0.0.1:") for p in ports)


def test_every_password_must_be_given() -> None:
    """No variable that is a password or a key has a default, and none stands in the file."""
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            if "PASSWORD" in name or "SECRET" in name or "@" in str(value).partition("@kafka")[0]:
                assert re.search(r"\$\{\w*PASSWORD:\?", str(value)), name
    assert not re.findall(r"\$\{\w*(?:PASSWORD|SECRET|TLS|URL)\w*(?::?-|\})", FILE.read_text())


def test_each_is_watched_restarted_and_keeps_its_data() -> None:
    for name, service in SERVICES.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped"
        kept = [v.partition(":")[0] for v in service["volumes"]]
        assert set(kept) & set(COMPOSE["volumes"]), name
    waits = SERVICES["carrel"]["depends_on"]
    assert {s["condition"] for s in waits.values()} == {"service_healthy"}
    assert set(waits) == set(OFFICIAL)


def test_carrel_is_told_of_them_by_settings_that_exist() -> None:
    told = SERVICES["carrel"]["environment"]
    known = {f"CARREL_{name.upper()}" for name in Settings.model_fields}
    assert set(told) <= known
    assert "@postgres/carrel" in told["CARREL_DATABASE_URL"]
    assert set(re.findall(r"CARREL_\w+(?==)", DOCKER)) <= known


def test_the_image_runs_without_rights_from_the_lock() -> None:
    assert re.search(r"^USER 10001$", DOCKER, re.M)
    assert DOCKER.index("USER 10001") > DOCKER.index("RUN awk")
    assert "--require-hashes" in DOCKER
    for name in re.findall(r"^COPY (.+) \S+$", DOCKER, re.M):
        assert all((ROOT / one).exists() for one in name.split())


def test_the_kafka_client_is_found_in_the_lock() -> None:
    (program,) = re.findall(r"awk '(.+?)'", DOCKER)
    done = subprocess.run(
        ["awk", program, "requirements-dev.lock"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.startswith("confluent-kafka==")
    assert done.stdout.count("==") == 1
    assert "--hash=sha256:" in done.stdout


def test_the_owner_of_the_database_is_no_superuser(postgres: Server) -> None:
    """The statements of the script, as the embedded server's superuser; undone afterwards."""
    text = (ROOT / "deployments/compose_owner.sh").read_text("utf-8")
    (statements,) = re.findall(r"<<'SQL'\n(.+?)\nSQL", text, re.S)
    role, _, _ = statements.partition("\n")
    with postgres._as_superuser() as admin, admin.transaction(force_rollback=True):
        made = role.replace(":'password'", "'abc'").replace("carrel_owner", "an_owner")
        admin.execute(made.encode())
        row = admin.execute(
            "select rolsuper, rolcreaterole, rolcanlogin from pg_roles where rolname = 'an_owner'"
        ).fetchone()
    assert row == (False, True, True)


@pytest.mark.skipif(not shutil.which("docker"), reason="there is no docker")
def test_docker_compose_takes_it() -> None:
    """Where the plugin is: `docker compose config` asks no daemon."""
    if subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    ).returncode:
        pytest.skip("docker has no compose plugin")
    given = {"POSTGRES_PASSWORD": "a", "CARREL_DATABASE_PASSWORD": "b", "CARREL_TLS": "/tls",
             "CARREL_APP_URL": "https://a.example.org"}  # fmt: skip
    command = ["docker", "compose", "-f", str(FILE), "config", "--quiet"]
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin:/usr/local/bin"} | given,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
