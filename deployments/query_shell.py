"""The prompt of `carrel query`: ready questions, own selects, tables; history and completion."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import typer

from deployments.asker import FIRST_ROWS, Asker
from deployments.showing import Form
from tasks.asking import STARTS
from warehouse.errors import CarrelError, ConfigurationError
from warehouse.settings import settings

HELP = """\
  NUMBER or NAME [parameter=value …]   ask a ready question
  select …;                            ask your own, on as many lines as you like
  questions                            the ready questions
  tables [PART]                        the tables that you may read, and what they hold
  table NAME [ROWS]                    a table's columns with their meaning, and its first rows
  form table|csv|json                  how answers are written
  limit ROWS                           how many rows are shown at the most
  help, quit                           Ctrl-C stops a question, Ctrl-D ends
"""
KEPT_LINES = 1000
SQL_WORDS = (
    "select", "from", "where", "group by", "order by", "having", "limit", "join", "left join",
    "count(*)", "sum(", "avg(", "min(", "max(", "distinct", "with", "between", "desc",
)  # fmt: skip


@dataclass
class Shell:
    """Reads lines and answers them until they end; `failed` is the last exit code of an error."""

    asker: Asker
    refused: Callable[[Exception], CarrelError]
    failed: int = 0

    def run(self) -> int:
        """Answer until the end; 0 at a prompt, else the code of the last line that failed."""
        at_prompt = sys.stdin.isatty()
        if at_prompt:
            self._greet()
        with _memory(self._words) if at_prompt else nullcontext():
            while (line := self._line("carrel> ")) is not None:
                if line.strip() in ("quit", "exit", "\\q"):
                    break
                self._answer(line.strip())
        return 0 if at_prompt else self.failed

    def _greet(self) -> None:
        viewer = self.asker.viewer
        typer.echo(
            f"You ask as {viewer.user} ({viewer.role}); nothing can be changed here, times are UTC."
        )
        self._guarded(self.asker.list_questions)
        typer.echo("Type a number, `select …;`, `tables`, `help` or `quit`.")

    def _line(self, prompt: str) -> str | None:
        """The next line; none at the end; an empty one after Ctrl-C."""
        try:
            return input(prompt if sys.stdin.isatty() else "")
        except EOFError:
            typer.echo("" if not sys.stdin.isatty() else "\n", nl=False)
            return None
        except KeyboardInterrupt:
            typer.echo("")
            return ""

    def _answer(self, line: str) -> None:
        word = re.split(r"[\s(]", line, maxsplit=1)[0].lower() if line else ""
        if not line or line.startswith("--"):
            return
        if word in STARTS and not re.fullmatch(r"table\s+[\w.\"]+(\s+\d+)?", line, re.I):
            statement = self._whole(line)
            self._guarded(lambda: self.asker.statement(statement))
        else:
            self._guarded(lambda: self._obey(line))

    def _whole(self, line: str) -> str:
        """A statement up to a line that ends with a semicolon, or an empty one."""
        lines = [line]
        while not lines[-1].rstrip().endswith(";"):
            more = self._line("     -> ")
            if not more or not more.strip():
                break
            lines.append(more)
        return "\n".join(lines)

    def _guarded(self, does: Callable[[], None]) -> None:
        """Do it; an error is told and a Ctrl-C ends it, and the prompt comes back."""
        try:
            does()
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            self.failed = 130
        except Exception as error:
            fault = error if isinstance(error, CarrelError) else self.refused(error)
            self.failed = fault.exit_code
            typer.echo(f"error: {fault.message}", err=True)
            if fault.remedy:
                typer.echo(f"remedy: {fault.remedy}", err=True)

    def _obey(self, line: str) -> None:
        try:
            word, *rest = shlex.split(line.rstrip(";"))
        except ValueError:
            raise ConfigurationError("A quotation mark stands alone.", remedy="Close it.") from None
        known: dict[str, Callable[[list[str]], None]] = {
            "help": lambda _: typer.echo(HELP, nl=False),
            "questions": lambda _: self.asker.list_questions(),
            "tables": lambda rest: self.asker.list_tables(*rest[:1]),
            "table": self._table,
            "form": self._form,
            "limit": self._limit,
        }
        if act := known.get(word.lower()):
            act(rest)
        else:
            self._question(word, rest)

    def _table(self, rest: list[str]) -> None:
        if not rest:
            raise ConfigurationError("Which table?", remedy="`tables` lists them.")
        self.asker.table(rest[0], _count(rest[1]) if rest[1:] else FIRST_ROWS)

    def _form(self, rest: list[str]) -> None:
        if rest[:1] not in ([f.value] for f in Form):
            raise ConfigurationError("This is no form.", remedy="form table, csv or json.")
        self.asker.form = Form(rest[0])

    def _limit(self, rest: list[str]) -> None:
        self.asker.most = _count(rest[0] if rest else "")

    def _question(self, word: str, rest: list[str]) -> None:
        names = list(self.asker.questions)
        chosen = names[int(word) - 1] if word.isdecimal() and 0 < int(word) <= len(names) else word
        one = self.asker.questions.get(chosen)
        if one is None:
            raise ConfigurationError(
                f"{word!r} is neither a question nor a command.", remedy="`help` says what is."
            )
        typed = parameters(rest)
        if sys.stdin.isatty() and not typed:
            for p in one.parameters:
                said = input(f"  {p.meaning} [{p.default}]: ").strip()
                typed |= {p.name: said} if said else {}
        self.asker.question(chosen, typed)

    def _words(self) -> list[str]:
        """What may be completed."""
        tables = self.asker.tables
        columns = {c for t in tables.values() for c, _, _ in t.columns}
        commands = ("help", "questions", "tables", "table", "form", "limit", "quit")
        return sorted({*commands, *SQL_WORDS, *self.asker.questions, *tables, *columns})


def parameters(words: list[str]) -> dict[str, str]:
    """Parameters as they were typed, `name=value` each.

    Raises:
        ConfigurationError: a word is none.
    """
    wrong = [w for w in words if "=" not in w]
    if wrong:
        raise ConfigurationError(f"{wrong[0]!r} is no parameter.", remedy="Write it as name=value.")
    return dict(w.split("=", 1) for w in words)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1_000_000:
        raise ConfigurationError(
            f"{text!r} is no number of rows.", remedy="Write one from 1 to 1000000."
        )
    return int(text)


@contextmanager
def _memory(words: Callable[[], list[str]]) -> Iterator[None]:
    """Lines are remembered from one call to the next, for their owner alone; Tab completes."""
    try:
        import readline
    except ImportError:  # a Python built without it
        yield
        return
    place = settings().home / "query_history"
    with suppress(OSError):
        place.touch(mode=0o600)
        place.chmod(0o600)
        readline.read_history_file(place)
    readline.set_history_length(KEPT_LINES)
    readline.set_completer_delims(" \t\n,();=")
    readline.set_completer(_completer(words))
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        readline.set_completer(None)
        with suppress(OSError):
            readline.write_history_file(place)
            place.chmod(0o600)


def _completer(words: Callable[[], list[str]]) -> Callable[[str, int], str | None]:
    known: list[str] = []

    def complete(text: str, state: int) -> str | None:
        if not known:
            with suppress(Exception):  # no database: nothing is completed
                known.extend(words())
        fits = [w for w in known if w.startswith(text)]
        return fits[state] if state < len(fits) else None

    return complete
