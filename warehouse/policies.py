"""Who sees which rows and columns: rules made from `Access`, written once, as objects and as SQL.

Policies trust only what `app.viewer_*()` returns for a valid claim. Each call is wrapped as
`(select f())` so that PostgreSQL runs it once a query, not once a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from warehouse.access import ROLES, Role
from warehouse.settings import settings
from warehouse.spec import Access, History


@dataclass(frozen=True)
class Policy:
    """One row policy: rows of which `using` is true are seen by `role`."""

    role: Role
    using: str

    @property
    def name(self) -> str:
        """The policy's name in PostgreSQL."""
        return f"{self.role}_reads"


def policies(access: Access, table: str = "") -> list[Policy]:
    """The row policies of a table; a role without one sees no row.

    `table` is silver's name for it, which a member's history needs.
    """
    found = [Policy("admin", _is("admin"))]
    if access.staff or access.public:
        found.append(Policy("librarian", _is("librarian")))
    elif access.branch:
        using = f'"{access.branch}" = any ((select app.viewer_branches())::text[])'
        found.append(Policy("librarian", using))
    if access.public:
        found.append(Policy("member", _is("member")))
    elif access.member:
        own = f'"{access.member}" = (select app.viewer_member())'
        if access.history:
            own += f' and {_matter(access.history)} in (select app."shown_{table}"())'
        found.append(Policy("member", own))
    return found


def _matter(history: History) -> str:
    """A matter's key as one text, the same in the policy and in its function."""
    return f"jsonb_build_array({_listed(history.by)})::text"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


HISTORY = """
create or replace function app."shown_{table}"() returns setof text
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
    return query
    select {matter} from silver."{table}"
    where "{member}" = (select app.viewer_member())
    group by {by}
    having not coalesce(bool_or({over}), false)
        or min("{began}") >= (
            select app.history_since(max("{agreed}")::date, {zone}) from silver."{people}"
            where "{member}" = (select app.viewer_member())
        );
end $$;
revoke all on function app."shown_{table}"() from public;
grant execute on function app."shown_{table}"() to "{login}";
create or replace function app."held_{table}"() returns bigint
language plpgsql stable security definer set search_path = pg_catalog as $$
begin
    return (select count(*) from silver."{table}" where "{member}" = (select app.viewer_member()));
end $$;
comment on function app."held_{table}" is
    'How many rows are kept about the member of the claim, with those that are not shown';
revoke all on function app."held_{table}"() from public;
grant execute on function app."held_{table}"() to "{login}";
"""


def history_sql(table: str, access: Access) -> str:
    """The functions that say which of a member's own matters that member may see, of how many rows.

    They ask as the owner, because a policy cannot ask the table that it guards, and only for the
    member of the claim. What the library's system and the member said of a history is weighed by
    `app.history_since`.
    """
    history = access.history
    if history is None:
        return ""
    people, _, agreed = history.consent.partition(".")
    over = " or ".join(
        f'"{column}"::text in ({", ".join(sql.Literal(v).as_string(None) for v in values)})'
        for column, values in history.until.items()
    )
    return HISTORY.format(
        table=table, matter=_matter(history), member=access.member, over=over,
        by=_listed(history.by), began=history.began, agreed=agreed,
        people=people, login=settings().login("member"),
        zone=sql.Literal(settings().timezone).as_string(None),
    )  # fmt: skip


def _is(role: Role) -> str:
    return f"(select app.viewer_role()) = '{role}'"


def access_sql(
    schema: str,
    table: str,
    access: Access,
    columns: Sequence[str],
    private: Iterable[str] = (),
) -> str:
    """Statements that give a table exactly its policies and column grants, whatever it had before.

    `private` columns (pseudonyms and personal data) are granted to members only, who see no
    rows but their own.
    """
    target = f'"{schema}"."{table}"'
    lines = [f"alter table {target} enable row level security;"]
    for role in ROLES:
        login = settings().login(role)
        lines.append(f'revoke all on {target} from "{login}";')
        lines.append(f"drop policy if exists {role}_reads on {target};")
    hidden = set(private)
    lines.append(history_sql(table, access))
    for policy in policies(access, table):
        login = settings().login(policy.role)
        own = policy.role == "member" and access.member is not None
        seen = ", ".join(f'"{c}"' for c in columns if own or c not in hidden)
        if not seen:  # every column is private, and the role is not the member's own
            continue
        lines.append(f'grant select ({seen}) on {target} to "{login}";')
        lines.append(
            f'create policy {policy.name} on {target} for select to "{login}"'
            f" using ({policy.using});"
        )
    return "\n".join(lines)
