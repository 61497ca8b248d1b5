"""Who sees which rows and columns: rules made from `Access`, written once, as objects and as SQL.

Policies trust only what `app.viewer_*()` returns for a valid claim. Each call is wrapped as
`(select f())` so that PostgreSQL runs it once a query, not once a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from warehouse.access import ROLES, Role
from warehouse.settings import settings
from warehouse.spec import Access


@dataclass(frozen=True)
class Policy:
    """One row policy: rows of which `using` is true are seen by `role`."""

    role: Role
    using: str

    @property
    def name(self) -> str:
        """The policy's name in PostgreSQL."""
        return f"{self.role}_reads"


def policies(access: Access) -> list[Policy]:
    """The row policies of a table; a role without one sees no row."""
    found = [Policy("admin", _is("admin"))]
    if access.staff or access.public:
        found.append(Policy("librarian", _is("librarian")))
    elif access.branch:
        using = f'"{access.branch}" = any ((select app.viewer_branches())::text[])'
        found.append(Policy("librarian", using))
    if access.public:
        found.append(Policy("member", _is("member")))
    elif access.member:
        found.append(Policy("member", f'"{access.member}" = (select app.viewer_member())'))
    return found


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
    for policy in policies(access):
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
