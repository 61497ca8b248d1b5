"""`carrel quality`: check a dataset, publish it in spite of its contract, show the scores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from warehouse.errors import WITH_WARNINGS, ConfigurationError, QualityFailed

if TYPE_CHECKING:
    from quality.score import Kept
    from quality.verdict import Verdict

quality = typer.Typer(
    help="Contracts, scores, and publishing in spite of them.", no_args_is_help=True
)
Named = Annotated[str, typer.Argument(help="Dataset, as `carrel datasets` lists it.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(quality, name="quality")


@contextmanager
def _act() -> Iterator[str]:
    """An id for what is done here, on every log line inside; imports no Prefect for it."""
    from warehouse import log

    run_id = str(uuid4())
    with log.during(run_id):
        yield run_id


@quality.command()
def check(name: Named) -> None:
    """Ask the contract anew, as the rows stand now; gold is left as it is.

    Exit codes: 0 every check holds; 6 only warnings do not; 4 it holds gold back.
    """
    from tasks.recheck import recheck
    from warehouse.spec import dataset

    with _act() as run_id:
        verdict = recheck(dataset(name), run_id)
    for line in told(verdict):
        typer.echo(line)
    if not verdict.publishes:
        raise QualityFailed(
            f"{verdict.dataset}: held back: {verdict.message}.",
            remedy="Mend the rows or the contract; gold stays as it was until a run passes.",
        )
    if verdict.warnings:
        raise typer.Exit(WITH_WARNINGS)


def told(verdict: Verdict) -> Iterator[str]:
    """A verdict in lines: the outcome, then a line a check."""
    yield f"{verdict.dataset}: {verdict.standing}; {verdict}"
    width = max((len(c.name) for c in verdict.checks), default=0)
    for one in verdict.checks:
        value = "" if one.measured is None else f"{one.measured:g}"
        yield (
            f"  {one.outcome:<13} {one.severity:<8} {one.part:<12} {one.name:<{width}}"
            f"  {value:>10}  {one.threshold}"
        )


@quality.command()
def publish(
    name: Named,
    reason: Annotated[str, typer.Option(help="Why; kept with your name and the time.")],
    user: Annotated[
        str | None,
        typer.Option("--as", metavar="USERNAME", help="Admin who decides; default: you, here."),
    ] = None,
) -> None:
    """Publish a dataset's figures though its contract holds them back: this verdict, no other."""
    from quality.overrides import override
    from tasks.publish import publish as publish_gold
    from warehouse import audit
    from warehouse.spec import dataset

    chosen = dataset(name)
    by = audit.By(_admin(user), "cli", "admin") if user else audit.shell()
    with audit.acting(by, "publish_anyway", name, at_the_shell=audit.shell().who) as facts:
        kept = override(chosen, who=by.who, reason=reason)
        facts["reason"] = reason
    typer.echo(f"{kept.dataset}: published anyway by {kept.who}: {kept.reason}")
    with _act() as run_id:
        for published in publish_gold([chosen], run_id):
            why = f" ({published.reason})" if published.reason else ""
            typer.echo(f"gold.{published.table}: {published.state}{why}")


def _admin(username: str) -> str:
    """The username of an admin's account.

    Raises:
        ConfigurationError: there is no such account, or it is no admin's.
    """
    from deployments.sign_ins import viewer

    found = viewer(username)
    if found.role != "admin":
        raise ConfigurationError(f"{username} is no admin.", remedy="Only admins publish anyway.")
    return found.user


@quality.command()
def score(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """The health scores with their parts and formulas: the whole, pipelines, datasets."""
    from quality.score import standing_scores

    scores = standing_scores()
    if as_json:
        import json

        typer.echo(json.dumps([_plain(s) for s in scores], indent=1))
        return
    if not scores:
        typer.echo("Nothing has been judged yet; `carrel ingest` does.")
    for one in scores:
        for line in _lines(one):
            typer.echo(line)
    for formula in dict.fromkeys(s.formula for s in scores):
        typer.echo(f"formula: {formula}")


def _lines(score: Kept) -> Iterator[str]:
    outcome = f"  {score.outcome}" if score.outcome else ""
    yield f"{score.score:6.2f}  {score.level:<8} {score.subject}{outcome}"
    for part in score.parts:
        lost = ", ".join(part.get("lost", ()))
        name = part.get("part") or part["dataset"]
        yield f"        {part['score']:6.2f}  weight {part['weight']:g}  {name}" + (
            f"; does not hold: {lost}" if lost else ""
        )


def _plain(score: Kept) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(score) | {"at": score.at.isoformat()}
