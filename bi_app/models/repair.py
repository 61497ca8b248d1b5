"""Mend held-back records and send them again; publish in spite of a contract: an admin's acts.

A page never changes a dataset: it asks (`app.requests`), and the requests program carries it out.
PostgreSQL lets admins alone ask, and shows open records to the admin alone who asked for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bi_app.models.quality import Row, Standing
from bi_app.queries import Noted, rows, write
from bi_app.words import N_, _, ngettext
from warehouse.access import Viewer
from warehouse.errors import ConfigurationError

ABOUT = N_(
    "Records that broke a rule, as they arrived. What you change goes the way of every file: it is"
    " cleaned, merged, checked against the contract and published. Who sent which cells again, and"
    " when, is kept; the values themselves only where every record is kept. Private columns are not"
    " shown; a record with a fault in one is mended at its source."
)
PUBLISHING = N_(
    "Figures of a dataset whose contract does not hold stay those of before. An admin may publish"
    " the new ones all the same, with name and reason on record, until rows change or a further"
    " check fails."
)
STEPS = {
    "sent_again": N_("Taken from quarantine"),
    "clean": N_("Cleaned"),
    "merge": N_("Merged"),
    "verify": N_("Checked against the contract"),
    "publish": N_("Gold brought up to date"),
}
KEPT = N_("Gold stays as it was")
LONGEST_REASON, MOST_EDITS, NAMED = 1000, 200, 3


def repair(viewer: Viewer, dataset: str, held: int) -> dict[str, Any] | None:
    """What an admin can do about a dataset's held-back records; None where there is nothing to do.

    `state`: idle, waits (something is under way), edit (records lie open) or over.
    """
    if viewer.role != "admin":
        return None
    asked = next(iter(rows(viewer, "repairs", {"dataset": dataset})), None)
    opened = rows(viewer, "held_records", {"dataset": dataset})
    told: dict[str, Any] = {"held": held, "text": "", "look": "", "steps": [], **_stage(asked)}
    if told["state"] == "idle" and opened:
        told |= {"state": "edit", "of": opened[0]["request_id"], **_table(opened)}
        if asked and (asked["action"], asked["state"]) == ("open", "done"):
            told["text"] = _("Before you alone, for a day: {message}.", message=asked["message"])
    return told if held or told["state"] != "idle" else None


def _stage(asked: Row | None) -> dict[str, Any]:
    """How far the newest request has come, in words."""
    if asked is None:
        return {"state": "idle"}
    if asked["state"] == "failed":
        return {"state": "idle", "look": "bad", "text": asked["message"]}
    if asked["action"] == "replay":
        return _sending(asked)
    if asked["state"] == "open":
        words = {"open": _("The records are being read."), "publish": _("Publishing.")}
        return {"state": "waits", "text": words[asked["action"]]}
    return {"state": "idle"}


def _sending(asked: Row) -> dict[str, Any]:
    """How far records have come that were sent again."""
    done, failure = set(asked["steps"] or ()), asked["failure"]
    steps = [[_(words), "done" if step in done else ""] for step, words in STEPS.items()]
    if failure:
        return {
            "state": "idle",
            "look": "bad",
            "text": _("They were not taken: {failure}", failure=failure),
        }
    if "publish" not in done:
        words = _("It is under way.") if asked["begun"] else _("It starts in a moment.")
        if asked["late"]:
            return {
                "state": "idle",
                "look": "bad",
                "text": _("There was no word of it for an hour."),
            }
        return {"state": "waits", "text": words, "steps": steps}
    if asked["overtaken"]:  # it was judged again since: what was said of it then may not hold now
        return {"state": "idle"}
    held = asked["contract"] == "passed"
    if not held:
        steps[-1] = [_(KEPT), ""]
    checks = _("{passed} of {checks} checks hold", passed=asked["passed"], checks=asked["checks"])
    text = (
        _("{checks}; published: {tables}.", checks=checks, tables=_named(asked["gold"] or ()))
        if held
        else _("{checks}: still held back.", checks=checks)
    )
    return {"state": "over", "look": "good" if held else "warn", "text": text, "steps": steps}


def _named(gold: Sequence[str]) -> str:
    """Gold tables by name, the first few of many."""
    more = len(gold) - NAMED
    names = ", ".join(f"gold.{name}" for name in gold[:NAMED]) or _("no figure reads it")
    return _("{names} and {count} more", names=names, count=more) if more > 0 else names


def _table(opened: Sequence[Row]) -> dict[str, Any]:
    """The open records: columns of all, and of each its cells as [text, rules, edited]."""
    columns = list(dict.fromkeys(name for r in opened for name, _, _ in r["cells"]))
    records = [
        {
            "load": r["load_id"], "line": r["line_no"], "place": r["place"], "faults": r["faults"],
            "cells": {name: [text, fault, (r["edited"] or {}).get(name)]
                      for name, text, fault in r["cells"]},
        }
        for r in opened
    ]  # fmt: skip
    return {"columns": columns, "rows": records}


def deciding(viewer: Viewer, now: Standing, dataset: str) -> dict[str, Any] | None:
    """Who published the newest verdict anyway; or what an admin needs to do so; else None."""
    known = now.outcomes.get(dataset)
    if not known:
        return None
    if known["published_by"]:
        return {"who": known["published_by"], "why": known["published_because"],
                "at": known["published_anyway_at"].isoformat()}  # fmt: skip
    if viewer.role != "admin" or known["outcome"] != "held back":
        return None
    return {"verdict": known["verdict_id"]}


def act(viewer: Viewer, dataset: str, asked: Mapping[str, Any], address: str = "") -> str:
    """Do what a browser asked about a dataset; returns what the person is told.

    Raises:
        ConfigurationError: the act is not legal, lacks a part, or is not the viewer's to do.
    """
    name = str(asked.get("act"))
    if name == "look":
        return ""
    if viewer.role != "admin":
        raise ConfigurationError(_("Records are mended, and figures published anyway, by admins."))
    if name not in ACTS:
        raise ConfigurationError(_("There is no such act."))
    if name != "close" and _under_way(viewer, dataset):
        raise ConfigurationError(_("What was asked for before is still under way."))
    return ACTS[name](viewer, dataset, asked, address)


def _under_way(viewer: Viewer, dataset: str) -> bool:
    asked = next(iter(rows(viewer, "repairs", {"dataset": dataset})), None)
    return bool(_stage(asked)["state"] == "waits")


def _open(viewer: Viewer, dataset: str, asked: Mapping[str, Any], address: str) -> str:
    rule = str(asked.get("rule") or "")[:100]
    detail = json.dumps({"rule": rule} if rule else {})
    values = {"action": "open", "subject": dataset, "detail": detail}
    write(viewer, "ask_with", values, Noted("open_records", dataset, address))
    return ""


def _close(viewer: Viewer, dataset: str, _asked: Mapping[str, Any], address: str) -> str:
    write(viewer, "close_records", {"dataset": dataset}, Noted("close_records", dataset, address))
    return _("The records are put away; nothing was changed.")


def _send(viewer: Viewer, dataset: str, asked: Mapping[str, Any], address: str) -> str:
    edits = _edits(asked.get("edits"))
    if not isinstance(asked.get("of"), int | float):
        raise ConfigurationError(_("No record lies open."))
    values = {"of": int(asked["of"]), "subject": dataset, "edits": json.dumps(edits)}
    noted = Noted("replay", dataset, address, {"records": len(edits)})
    if not write(viewer, "send_again", values, noted):
        raise ConfigurationError(_("The records do not lie open any more. Open them again."))
    return ngettext(
        "{count} edited record will be sent again.",
        "{count} edited records will be sent again.",
        len(edits),
    )


def _edits(given: object) -> list[dict[str, Any]]:
    """The edits as the database takes them: load, line, and new texts by column."""
    found = []
    for one in given if isinstance(given, list) else []:
        if isinstance(one, Mapping) and isinstance(one.get("cells"), Mapping) and one["cells"]:
            cells = {str(k): str(v).replace("\0", "") for k, v in one["cells"].items()}
            found.append({"load": _number(one, "load"), "line": _number(one, "line"),
                          "cells": cells})  # fmt: skip
    if not 0 < len(found) <= MOST_EDITS:
        raise ConfigurationError(_("No cell was changed."))
    return found


def _number(one: Mapping[str, Any], key: str) -> int:
    if not isinstance(one.get(key), int | float):
        raise ConfigurationError(_("A record is named by its load and its line."))
    return int(one[key])


def _publish(viewer: Viewer, dataset: str, asked: Mapping[str, Any], address: str) -> str:
    reason = str(asked.get("reason") or "").replace("\0", "").strip()[:LONGEST_REASON]
    if not reason:
        raise ConfigurationError(_("Publishing anyway needs a reason."))
    if not isinstance(asked.get("verdict"), int | float):
        raise ConfigurationError(_("It is one verdict that is published anyway: name it."))
    detail = json.dumps({"verdict": int(asked["verdict"]), "reason": reason})
    values = {"action": "publish", "subject": dataset, "detail": detail}
    noted = Noted("publish_anyway", dataset, address, {"reason": reason})
    write(viewer, "ask_with", values, noted)
    return _("Your decision is on its way, with your name and reason.")


ACTS = {"open": _open, "close": _close, "send": _send, "publish": _publish}
