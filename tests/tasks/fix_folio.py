"""A FOLIO of the tests' own: FOLIO's real sample records, served as its modules page them.

Loans, their history, requests and fees are invented on the real copies and people, seeded: the
real files have five loans.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.tasks.fix_web import OK, Asked, Reply, Web

Record = dict[str, Any]
NAME, PASSWORD, TENANT, TOKEN = "carrel reader", "p@ss:w/rd", "diku", "eyJ0b2tlbiI6MX0.x-y_z"
PLACES = {  # list: its path, the name of the list in an answer, where the real records stand
    "users": ("/users", "users", "users/users*/*.json"),
    "groups": ("/groups", "usergroups", "users/groups*/*.json"),
    "items": ("/item-storage/items", "items", "**/items/*.json"),
    "holdings": ("/holdings-storage/holdings", "holdingsRecords", "**/holdingsrecords/*.json"),
    "instances": ("/instance-storage/instances", "instances", "**/instances/*.json"),
    "locations": ("/locations", "locations", "**/locations/*.json"),
    "libraries": ("/location-units/libraries", "loclibs", "**/libraries/*.json"),
    "loans": ("/loan-storage/loans", "loans", "**/loans/*.json"),
}
INVENTED = {
    "history": ("/loan-storage/loan-history", "loansHistory"),
    "checkins": ("/check-in-storage/check-ins", "checkIns"),
    "requests": ("/request-storage/requests", "requests"),
    "accounts": ("/accounts", "accounts"),
    "actions": ("/feefineactions", "feefineactions"),
}
DESK = "3a40852d-49fd-4df2-a1f9-6e2641a6e91f"
DAY = dt.timedelta(days=1)


def real(folder: Path, name: str) -> list[Record]:
    """The real records of a list."""
    return [json.loads(p.read_text("utf-8")) for p in sorted(folder.glob(PLACES[name][2]))]


class Folio:
    """The lists, and the server that answers them: `lists[name]` may be changed."""

    def __init__(self, web: Web, folder: Path, *, old: bool = False) -> None:
        self.web, self.old = web, old
        self.lists: dict[str, list[Record]] = {n: real(folder, n) for n in PLACES}
        self.lists |= {n: [] for n in INVENTED}
        _invent(self.lists, random.Random(1))
        for name, (path, key, *_) in {**PLACES, **INVENTED}.items():
            web.pages[path] = self._page(name, key)
        web.pages["/authn/login" if old else "/authn/login-with-expiry"] = self._login

    @property
    def url(self) -> str:
        """What a library fills in."""
        sign_in = "carrel%20reader:p%40ss%3Aw%2Frd"
        return f"http://{sign_in}@{self.web.host}/{TENANT}"

    def _login(self, asked: Asked) -> Reply:
        if asked.headers.get("x-okapi-tenant") != TENANT or asked.method != "POST":
            return 400, OK, b"{}"
        if json.loads(asked.body) != {"username": NAME, "password": PASSWORD}:
            return 422, OK, b'{"errors": [{"message": "Password does not match"}]}'
        if self.old:
            return 201, OK | {"x-okapi-token": TOKEN}, b"{}"
        cookies = {"Set-Cookie": f"folioAccessToken={TOKEN}; Max-Age=600; Path=/; Secure; HttpOnly"}
        return 201, OK | cookies, b'{"accessTokenExpiration": "2030-01-01T00:00:00Z"}'

    def _page(self, name: str, key: str) -> Callable[[Asked], Reply]:
        def answer(asked: Asked) -> Reply:
            if asked.headers.get("x-okapi-token") != TOKEN:
                return 401, OK, b"Token missing"
            if asked.headers.get("x-okapi-tenant") != TENANT:
                return 400, OK, b"No tenant"
            limit, offset = int(asked.params.get("limit", 10)), int(asked.params.get("offset", 0))
            assert "sortby" in asked.params["query"]
            records = self.lists[name]
            found = {key: records[offset : offset + min(limit, 100)], "totalRecords": len(records)}
            return 200, OK, json.dumps(found, ensure_ascii=False).encode()

        return answer


def _invent(lists: dict[str, list[Record]], chance: random.Random) -> None:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=3)
    people = [u["id"] for u in lists["users"]]
    for item in lists["items"]:
        at = now - chance.randint(200, 390) * DAY
        while (at := at + dt.timedelta(seconds=chance.randint(3600, 86400 * 9))) < now - 20 * DAY:
            _loan(lists, chance, item["id"], None if chance.random() < 0.1 else
                  chance.choice(people), at)  # fmt: skip
            at += 16 * DAY
            seen = {"id": _id(chance), "occurredDateTime": _z(at), "itemId": item["id"],
                    "servicePointId": DESK, "performedByUserId": people[0]}  # fmt: skip
            lists["checkins"].append(seen | {"itemStatusPriorToCheckIn": "Checked out"})
            if chance.random() < 0.5:
                at += DAY
                lists["checkins"].append(
                    seen | {"id": _id(chance), "occurredDateTime": _z(at),
                            "itemStatusPriorToCheckIn": "Available"})  # fmt: skip


def _loan(
    lists: dict[str, list[Record]], chance: random.Random, item: str, user: Any, at: dt.datetime
) -> None:
    back = at + dt.timedelta(seconds=chance.randint(3600 * 24 * 11, 86400 * 15))
    loan = {"id": _id(chance), "itemId": item, "loanDate": _z(at), "dueDate": _z(at + 21 * DAY),
            "returnDate": back.strftime("%Y-%m-%dT%H:%M:%S.000+00:00"), "action": "checkedin",
            "checkoutServicePointId": DESK, "checkinServicePointId": DESK,
            "status": {"name": "Closed"}}  # fmt: skip
    loan |= {"userId": user} if user else {}
    lists["loans"].append(loan)
    renewals = chance.choice([0, 0, 1, 2])
    states = ["checkedout", *["renewed"] * renewals, "checkedin", "checkedin"]
    for step, action in enumerate(states):
        told = {"operation": "U", "createdDate": _z(at + step * 5 * DAY), "id": _id(chance)}
        told["loan"] = loan | {"action": action, "renewalCount": min(step, renewals)}
        lists["history"].append(told)
    if chance.random() < 0.3:
        _fee(lists, chance, loan, back)
        _request(lists, chance, loan, at)


def _fee(
    lists: dict[str, list[Record]], chance: random.Random, loan: Record, at: dt.datetime
) -> None:
    account = {"id": _id(chance), "userId": loan.get("userId"), "loanId": loan["id"],
               "itemId": loan["itemId"], "amount": 2.35, "dateCreated": _z(at)}  # fmt: skip
    lists["accounts"].append(account)
    for kind, amount in (("Overdue fine", 2.35), ("Paid partially", 1.0), ("Waived fully", 1.35)):
        lists["actions"].append({"id": _id(chance), "accountId": account["id"], "typeAction": kind,
                                 "amountAction": amount, "dateAction": _z(at + DAY)})  # fmt: skip


def _request(
    lists: dict[str, list[Record]], chance: random.Random, loan: Record, at: dt.datetime
) -> None:
    status = chance.choice(["Open - Not yet filled", "Open - Awaiting pickup", "Closed - Filled",
                            "Closed - Cancelled", "Closed - Pickup expired"])  # fmt: skip
    lists["requests"].append({
        "id": _id(chance), "itemId": loan["itemId"], "requestDate": _z(at), "status": status,
        "requesterId": lists["users"][0]["id"], "pickupServicePointId": DESK,
        "requester": {"lastName": "Jewess", "barcode": "808493955182189"},
        "metadata": {"updatedDate": _z(at + 2 * DAY)},
    })  # fmt: skip


def _id(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def _z(at: dt.datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
