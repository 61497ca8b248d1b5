"""Which role may open which page. What is not named here is closed."""

from __future__ import annotations

from dataclasses import dataclass

from warehouse.access import Role


@dataclass(frozen=True)
class PageRule:
    """A page: its path, its name in the menu, and the roles that may open it."""

    path: str
    title: str
    roles: frozenset[Role]
    icon: str = ""
    in_menu: bool = True


ALL: frozenset[Role] = frozenset({"admin", "librarian", "member"})
STAFF: frozenset[Role] = frozenset({"admin", "librarian"})
PAGES = {
    rule.path: rule
    for rule in (
        PageRule("/app", "Overview", ALL, in_menu=False),
        PageRule("/overview", "Overview", ALL, "chart"),
        PageRule("/my_loans", "My loans", frozenset({"member"}), "book"),
        PageRule("/explore", "Explore", STAFF, "table"),
    )
}
DOORS = ("/ws", "/autoload.js", "/metadata")


def page_of(path: str) -> str:
    """The page that a request is for, whether it is its document, socket, script or metadata."""
    for door in DOORS:
        if path.endswith(door):
            return path.removesuffix(door)
    return path.rstrip("/") or "/"


def may_open(path: str, role: Role) -> bool:
    """Whether a role may open a page, by any of its doors."""
    rule = PAGES.get(page_of(path))
    return rule is not None and role in rule.roles


def menu(role: Role) -> list[PageRule]:
    """The pages that a role finds in its menu, in order."""
    return [p for p in PAGES.values() if p.in_menu and role in p.roles]
