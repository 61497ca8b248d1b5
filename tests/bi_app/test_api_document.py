"""The API keeps to its own document: made-up requests by the thousand, and a generated client."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bi_app.api.rest.measures import Asked, seen
from tests.bi_app import fix_api
from tests.bi_app.fix_api import PREFIX
from tests.bi_app.fix_app import EMAILS, OWN, PASSWORD, Served
from warehouse.access import Viewer

VIEWER = Viewer(EMAILS["librarian"], "librarian", OWN)
# What JSON schema cannot say (end before start, a cursor of another list, a filter on a column that
# is not there) is refused with 422 or 429, documented for every call. How long an answer takes on a
# busy machine is no fault of it: `python -m benchmarks.api` measures that.
CONFIG = """
[checks]
max_response_time = 60.0
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "422"]
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
[warnings]
enabled = false
"""
# A second answer by an Idempotency-Key tells of what may have ended since; one account asks all.
NOT_ASKED = ("ensure_resource_availability", "object_level_authorization")
# Sign-out and the own sessions would end the run's own session.
LEFT_OUT = ("sign_out_delete", "end_session_delete", "sign_in_post")


def explore(api: Served, token: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis over the whole document."""
    document = httpx.get(
        f"{api.base}{PREFIX}/openapi.json", headers={"Authorization": f"Bearer {token}"}
    )
    (folder / "openapi.json").write_text(document.text)
    (folder / "schemathesis.toml").write_text(CONFIG)
    left_out = [part for name in LEFT_OUT for part in ("--exclude-operation-id", name)]
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "--config-file", "schemathesis.toml",
        "run", "openapi.json", "--url", api.base, "-H", f"Authorization: Bearer {token}",
        "--checks", "all", "--exclude-checks", ",".join(NOT_ASKED), "--no-color",
        "--suppress-health-check", "all", "--seed", "1", "--request-timeout", "60", *left_out,
        *more,
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=1200, check=False,
        env=os.environ | {"HYPOTHESIS_STORAGE_DIRECTORY": str(folder)},
    )  # fmt: skip


def test_made_up_requests_find_nothing(api: Served, tokens: dict[str, str], tmp_path: Path) -> None:
    phases = ("--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--no-shrink")
    done = explore(api, tokens["librarian"], tmp_path, *phases)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.full
@pytest.mark.parametrize("role", ["admin", "librarian", "member"])
def test_many_made_up_requests_find_nothing(api: Served, tmp_path: Path, role: str) -> None:
    token = fix_api.sign_in(api, role).json()["access_token"]  # good for a quarter of an hour
    ends = ("end_sessions_delete", "change_user_patch") if role == "admin" else ()
    left_out = [part for name in ends for part in ("--exclude-operation-id", name)]
    done = explore(api, token, tmp_path, "--max-examples", "60", *left_out)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    head = {"Authorization": f"Bearer {token}"}
    last = httpx.get(f"{api.base}{PREFIX}/me", headers=head)
    assert last.status_code == 200, "it asked as nobody at its end"


@pytest.fixture(scope="module")
def client(api: Served, tokens: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a package that openapi-python-client makes of the document; it can be imported."""
    folder = tmp_path_factory.mktemp("client")
    head = {"Authorization": f"Bearer {tokens['admin']}"}
    document = httpx.get(f"{api.base}{PREFIX}/openapi.json", headers=head)
    (folder / "openapi.json").write_text(document.text)
    (folder / "config.yml").write_text("post_hooks: []\npackage_name_override: made_client\n")
    command = [
        str(Path(sys.executable).parent / "openapi-python-client"), "generate", "--meta", "none",
        "--path", "openapi.json", "--config", "config.yml", "--output-path", "made_client",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout.replace("Unable to parse", ""), done.stdout
    sys.path.insert(0, str(folder))
    return "made_client"


def test_a_generated_client_signs_in_and_reads_the_pages_number(
    at_api: str, api: Served, client: str
) -> None:
    made = importlib.import_module(client)
    models = importlib.import_module(f"{client}.models")
    sign_in = importlib.import_module(f"{client}.api.sign_in.sign_in_post")
    measure = importlib.import_module(f"{client}.api.measures.measure_get")
    asked = models.SignIn(email=EMAILS["librarian"], password=PASSWORD)
    with made.Client(base_url=api.base) as stranger:
        pair = sign_in.sync(client=stranger, body=asked)
    with made.AuthenticatedClient(base_url=api.base, token=pair.access_token) as person:
        told = measure.sync("overview.figures", client=person, period="30d")
    values = {row["name"]: row["text"] for row in told.rows}
    view = seen(VIEWER, Asked(period="30d"))
    assert values == {card["name"]: card["value"] for card in view.cards()}
