"""Words that stand in the database and that pages show as words of their own.

They are listed for extraction alone: pages look them up with `_`.
"""

from __future__ import annotations

from bi_app.words import N_

ROLES = (N_("admin"), N_("librarian"), N_("member"))
ACTS = (
    N_("account"), N_("alert"), N_("backup"), N_("close records"), N_("export"), N_("migrate"),
    N_("open records"), N_("publish anyway"), N_("refusal"), N_("replay"), N_("restore"),
    N_("consent"),
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
SEGMENTS = (  # of customers, as warehouse/streams/retail/sales.yml ships them
    N_("Champions"), N_("Loyal"), N_("Big spenders"), N_("New"), N_("Promising"), N_("At risk"),
    N_("Hibernating"), N_("Lost"),
)  # fmt: skip
BY_SEGMENT = N_("B2B or B2C as the till says; else B2B where a known customer buys a dozen or more")
