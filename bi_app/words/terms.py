"""Words that stand in the database and that pages show as words of their own.

They are listed for extraction alone: pages look them up with `_`.
"""

from __future__ import annotations

from bi_app.words import N_

ROLES = (N_("admin"), N_("librarian"), N_("member"))
ACTS = (
    N_("account"), N_("alert"), N_("backup"), N_("close records"), N_("export"), N_("migrate"),
    N_("open records"), N_("publish anyway"), N_("refusal"), N_("replay"), N_("restore"),
    N_("consent"), N_("query"),
    N_("retain"), N_("run"), N_("sign in"), N_("sign in refused"), N_("sign out"), N_("view"),
)  # fmt: skip
DOORS = (N_("page"), N_("api"), N_("export"), N_("cli"), N_("mail"), N_("schedule"))
METHODS = (N_("password"), N_("password and code"), N_("password and recovery"))
ALERT_PARTS = (
    N_("check"), N_("step"), N_("anomaly"), N_("late"), N_("gold"), N_("dataset"),
)  # fmt: skip
ALERT_ACTS = (
    N_("opened"), N_("re-opened"), N_("escalated"), N_("woken"), N_("snoozed"), N_("resolved"),
    N_("acknowledged"), N_("assigned"), N_("reopen"), N_("snooze"), N_("wake"), N_("resolve"),
    N_("assign"), N_("acknowledge"), N_("changed"),
)  # fmt: skip
SCORE_PARTS = (
    N_("completeness"), N_("validity"), N_("uniqueness"), N_("consistency"), N_("freshness"),
    N_("volume"), N_("rules"),
)  # fmt: skip
STEPS = (
    N_("extract"), N_("land"), N_("clean"), N_("merge"), N_("verify"), N_("observe"),
    N_("publish"), N_("sent_again"), N_("replay"),
)  # fmt: skip
CHECKS = (N_("passed"), N_("failed"), N_("error"))
CATEGORIES = (
    N_("source"), N_("schema"), N_("validation"), N_("load"), N_("infrastructure"),
)  # fmt: skip
OWN_DATA = (  # names of columns on the page My data
    N_("Created at"), N_("Account id"), N_("Email"), N_("Name"), N_("Role"), N_("Branches"),
    N_("Card linked"), N_("Has password"), N_("Approved at"), N_("Second factor since"),
    N_("Recovery codes left"), N_("Language"), N_("Linked at"), N_("Issuer"), N_("Subject"),
    N_("Started at"), N_("Seen at"), N_("Expires at"), N_("Ended at"), N_("Address"), N_("Client"),
    N_("Method"), N_("Made at"), N_("At"), N_("Outcome"), N_("Entry id"), N_("Who"), N_("Act"),
    N_("Door"), N_("Details"), N_("Prefix"), N_("Scopes"), N_("Last used at"), N_("Asked at"),
    N_("Old email"), N_("New email"), N_("Done at"), N_("Given up at"), N_("Objected at"),
    N_("Undone at"), N_("Said"), N_("Action"), N_("State"), N_("Alert id"), N_("To state"),
    N_("Note"), N_("Changed at"), N_("Page"), N_("Card"), N_("Shared with"), N_("Choice"),
    N_("Every"), N_("Files"), N_("Next due at"), N_("Paused at"), N_("Due at"),
)  # fmt: skip
SEGMENTS = (  # of customers, as warehouse/streams/retail/sales.yml ships them
    N_("Champions"), N_("Loyal"), N_("Big spenders"), N_("New"), N_("Promising"), N_("At risk"),
    N_("Hibernating"), N_("Lost"),
)  # fmt: skip
BY_SEGMENT = N_("B2B or B2C as the till says; else B2B where a known customer buys a dozen or more")
