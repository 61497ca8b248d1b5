"""Which role may open which page. What is not named here is closed."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bi_app.words import N_
from warehouse.access import ROLES, Role
from warehouse.errors import ConfigurationError
from warehouse.settings import settings


@dataclass(frozen=True)
class PageRule:
    """A page: its path, its name in the menu, and the roles that may open it.

    Pages of one `group` stand together in the menu, below the group's name. `menu_of` names the
    roles that find the page in the menu, where those are not all that may open it.
    """

    path: str
    title: str
    roles: frozenset[Role]
    icon: str = ""
    in_menu: bool = True
    group: str = ""
    menu_of: frozenset[Role] | None = None


ROLE_NAMES: dict[Role, str] = {
    "admin": N_("Admin"),
    "librarian": N_("Librarian"),
    "member": N_("Member"),
}
ALL: frozenset[Role] = frozenset({"admin", "librarian", "member"})
STAFF: frozenset[Role] = frozenset({"admin", "librarian"})
ADMINS: frozenset[Role] = frozenset({"admin"})
PAGES = {
    rule.path: rule
    for rule in (
        PageRule("/app", "Overview", ALL, in_menu=False),
        PageRule("/overview", "Overview", ALL, "chart"),
        PageRule("/my_loans", "My loans", frozenset({"member"}), "book"),
        PageRule("/my_history", "My history", frozenset({"member"}), "book"),
        PageRule("/my_data", "My data", ALL, "table", menu_of=frozenset({"member"})),
        PageRule("/circulation", "Circulation", STAFF, group="Library"),
        PageRule("/busy_hours", "Busy hours", STAFF, group="Library"),
        PageRule("/collection", "Collection", STAFF, group="Library"),
        PageRule("/holds", "Holds", STAFF, group="Library"),
        PageRule("/fines", "Overdue and fines", STAFF, group="Library"),
        PageRule("/branches", "Branches", STAFF, group="Library"),
        PageRule("/members", "Members", STAFF, group="Library"),
        PageRule("/annual_return", "Annual return", STAFF, group="Library"),
        PageRule("/sales", "Sales", STAFF, group="Shop"),
        PageRule("/returns", "Cancellations", STAFF, group="Shop"),
        PageRule("/customers", "Customers", STAFF, group="Shop"),
        PageRule("/baskets", "Baskets", STAFF, group="Shop"),
        PageRule("/explore", "Explore", STAFF, "table"),
        PageRule("/cards", "My cards", STAFF),
        PageRule("/quality", "Quality", STAFF, "check"),
        PageRule("/pipelines", "Pipelines", STAFF, "flow"),
        PageRule("/alerts", "Alerts", STAFF, "bell"),
        PageRule("/people", "People", ADMINS, group="Admin"),
        PageRule("/sign_ins", "Sign-ins", ADMINS, group="Admin"),
        PageRule("/activity", "Activity", ADMINS, group="Admin"),
        PageRule("/dataset", "Dataset", STAFF, in_menu=False),
    )
}


def own_pages() -> list[Path]:
    """The page files of the project folder; their names must not be those of ours."""
    return sorted((settings().project / "pages").glob("[a-z]*.py"))


def read_rule(path: Path) -> PageRule:
    """The rule that a page file of the project states: `TITLE = "…"` and `ROLES = ("…",)`.

    The file is read, not run.

    Raises:
        ConfigurationError: it states no roles, or unknown ones, or has the name of a page of ours.
    """
    stated = _stated(path)
    roles = stated.get("ROLES") or ()
    if not roles or not set(roles) <= set(ROLES):
        raise ConfigurationError(
            f"{path}: a page states who may open it.", remedy=f"ROLES = {ROLES!r}, or some of them."
        )
    if f"/{path.stem}" in PAGES:
        raise ConfigurationError(f"{path}: there is a page of this name already.")
    return PageRule(f"/{path.stem}", str(stated.get("TITLE", path.stem)), frozenset(roles))


def _stated(path: Path) -> dict[str, Any]:
    """The constants at the top level of a file."""
    found: dict[str, Any] = {}
    for node in ast.parse(path.read_text("utf-8"), str(path)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("TITLE", "ROLES"):
                found[name] = ast.literal_eval(node.value)
    return found


def add_own_pages() -> None:
    """Let the pages of the project folder be opened by the roles that they state."""
    for rule in [read_rule(path) for path in own_pages()]:
        PAGES[rule.path] = rule


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
    return [
        p
        for p in PAGES.values()
        if p.in_menu and role in p.roles and (p.menu_of is None or role in p.menu_of)
    ]


def grouped(role: Role) -> list[tuple[str, list[PageRule]]]:
    """The menu as (group, its pages); a page without a group stands alone, under no name."""
    found: list[tuple[str, list[PageRule]]] = []
    for rule in menu(role):
        there = next((pages for name, pages in found if name and name == rule.group), None)
        if there is None:
            found.append((rule.group, [rule]))
        else:
            there.append(rule)
    return found
