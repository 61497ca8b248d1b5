"""What the app's doors put on record: sign-ins, views, files, changes and refusals."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bi_app.models import pipelines
from tests.bi_app.client import Client
from tests.bi_app.fix_app import EMAILS, PASSWORD
from warehouse.access import Viewer
from warehouse.audit_chain import Wanted, entries, verify
from warehouse.database import connect
from warehouse.errors import CarrelError

ADMIN = Viewer(EMAILS["admin"], "admin")


def last(act: str, who: str, subject: str | None = None) -> dict[str, Any]:
    """The newest entry of an act; views and refusals come a moment late."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for found in entries(Wanted(act=act, who=who), newest=1):
            if subject in (None, found["subject"]):
                return found
        time.sleep(0.1)
    raise AssertionError(f"no {act} of {who}")


def test_sign_ins_views_and_refusals(here: str, visitor: Callable[..., Client]) -> None:
    member = visitor("member")
    signed_in = last("sign_in", EMAILS["member"])
    assert (signed_in["role"], signed_in["door"], signed_in["address"]) == (
        "member", "page", "127.0.0.1",
    )  # fmt: skip
    member.http.get("/overview?start=2026-01-01")
    seen = last("view", EMAILS["member"], "/overview")
    assert (seen["subject"], seen["outcome"], seen["details"]) == ("/overview", "done", {})
    assert member.http.get("/quality").status_code == 403
    assert last("refusal", EMAILS["member"], "/quality")["outcome"] == "refused"
    member.sign_out()
    assert last("sign_out", EMAILS["member"])["outcome"] == "done"
    assert verify().unbroken


def test_a_failed_sign_in_names_accounts_only(here: str, visitor: Callable[..., Client]) -> None:
    stranger = visitor()
    assert stranger.sign_in(EMAILS["librarian"], "not the password").status_code == 401
    assert last("sign_in_refused", EMAILS["librarian"])["details"] == {"why": "refused"}
    assert stranger.sign_in("hunter2 typed here", "x").status_code == 401
    assert last("sign_in_refused", "(no account)")["outcome"] == "refused"
    assert not list(entries(Wanted(who="hunter2")))
    assert PASSWORD not in str(list(entries(Wanted())))


def test_a_file_is_on_record_before_it_is_handed_out(
    here: str, visitor: Callable[..., Client]
) -> None:
    admin = visitor("admin")
    given = admin.http.get("/download/quality/datasets.csv")
    assert given.status_code == 200
    entry = last("export", EMAILS["admin"])
    assert (entry["door"], entry["subject"]) == ("export", "/quality")
    rows = len(given.content.splitlines()) - 1
    assert entry["details"] == {"table": "datasets", "kind": "csv", "rows": rows}
    with connect(autocommit=True) as db:
        db.execute("alter table audit.entries rename to away")
        try:
            withheld: httpx.Response = admin.http.get("/download/quality/datasets.csv")
            with pytest.raises(CarrelError, match="nothing was done"):
                pipelines.ask_to_run(ADMIN, "library_fines", {"library_fines"})
        finally:
            db.execute("alter table audit.away rename to entries")
        assert withheld.status_code == 500
        assert not db.execute("select from app.requests where subject = 'library_fines'").fetchone()


def test_a_change_and_its_entry_are_one(here: str) -> None:
    pipelines.ask_to_run(ADMIN, "library_fines", {"library_fines"}, "192.0.2.9")
    entry = last("run", ADMIN.user)
    assert (entry["subject"], entry["address"]) == ("library_fines", "192.0.2.9")
    with connect() as db:
        db.execute("delete from app.requests where subject = 'library_fines'")
