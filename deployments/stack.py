"""`carrel up`, `down`, `status`: the whole stack on one machine."""

from __future__ import annotations

import fcntl
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx

from bi_app.auth import exposure
from deployments import pipeline, sign_ins, supervision
from deployments.facts import note
from deployments.ports import free_port
from deployments.postgres import server
from deployments.programs import Program, programs
from deployments.sign_ins import SignIn
from deployments.stream_health import is_used
from deployments.supervision import is_up
from tasks.connect import connected
from warehouse.database import connect
from warehouse.errors import CarrelError, LoadFailed, QualityFailed
from warehouse.migrate import migrate
from warehouse.settings import settings
from warehouse.streams import stream, streams

T = TypeVar("T")
Say = Callable[[str], None]
PORTS = {
    "pg_port": "PostgreSQL",
    "prefect_port": "Prefect",
    "app_port": "the app",
    "api_port": "the API",
}
START_SECONDS = 180
GROUP = "library"


@dataclass(frozen=True)
class Started:
    """What `up` has to tell: addresses in the order of interest, new sign-ins, what went wrong.

    A failed flow run leaves the rest running, to be looked at.
    """

    addresses: dict[str, str]
    sign_ins: list[SignIn]
    seconds: float
    problem: CarrelError | None


class Steps:
    """Names each step when it begins and says how long it took."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens within."""
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began
        self.say(f"{name:<34} {self.seconds[name]:6.1f} s")


def up(say: Say, *, demo: bool = False) -> Started:
    """Start everything, wait until it is well, and return.

    Raises:
        ConfigurationError: demo sign-ins are present in a start without `demo`, or something is
            open that must not be (`bi_app.auth.exposure`); nothing was started.
        LoadFailed: the sample's flow run failed.
        CarrelError: a program did not start; its log is named.
    """
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    exposure.check(demo=demo)
    with _one_at_a_time():
        # The pool is outside: when what its threads wait for is stopped, they end at once.
        ran = _begin(say)
        with ThreadPoolExecutor(4) as pool, _undone_on_failure(say, unless=ran):
            problem = _bring_up(Steps(say), pool, demo)
            _consume(say, afresh=not ran)
        made = sign_ins.make_demo() if demo else sign_ins.make_first()
    return Started(_addresses(), made, time.monotonic() - began, problem)


def _addresses() -> dict[str, str]:
    known = {p.name: p.address for p in programs() if p.port}
    return {
        name: known[name] for name in ("app", "prefect-server", "postgres", "api") if name in known
    }


@contextmanager
def _undone_on_failure(say: Say, *, unless: bool) -> Iterator[None]:
    """Stop what was started when starting fails or is interrupted, unless it ran before."""
    try:
        yield
    except BaseException:
        if not unless:
            down(say)
        raise


def _begin(say: Say) -> bool:
    """Choose ports and start the supervisor; True when it runs already."""
    if supervision.is_supervised():
        say("The stack runs already; looking after it.")
        return True
    supervision.stop_supervisor()  # what a killed supervisor left behind
    if not settings().database_url:
        server().stop()
    _choose_ports(say)
    if not settings().database_url:
        server().prepare()
    supervision.start_supervisor()
    return False


def _choose_ports(say: Say) -> None:
    taken: set[int] = set()
    elsewhere = {"pg_port": settings().database_url, "prefect_port": settings().prefect_api_url}
    for key, name in PORTS.items():
        if elsewhere.get(key):
            continue
        wanted = getattr(settings(), key)
        port = free_port(wanted, but_not=frozenset(taken))
        taken.add(port)
        if port != wanted:
            say(f"Port {wanted} is taken: {name} gets {port}.")
        note(**{key: port})
    note(app_ports=_ports_behind(taken) if settings().app_processes > 1 else None)


def _ports_behind(taken: set[int]) -> list[int]:
    """A port for each process behind the proxy."""
    found: list[int] = []
    for _ in range(settings().app_processes):
        found.append(free_port(settings().app_port + 1, but_not=frozenset(taken.union(found))))
    return found


def _bring_up(steps: Steps, pool: ThreadPoolExecutor, demo: bool) -> CarrelError | None:
    """Database and data, Prefect, and the app start beside each other; the data's run is last."""
    for program in programs():
        if program.name in ("postgres", "prefect-server"):
            supervision.start_program(program.name)
    sample = pool.submit(_sample, steps)
    prefect = pool.submit(_prefect, steps)
    database = pool.submit(_database, steps)
    _all(database, sample)
    if not demo:
        sign_ins.refuse_demo()
    app, api = pool.submit(_app, steps), pool.submit(_api, steps)
    shop = [pool.submit(_sample_shop, steps)] if demo else []
    _all(prefect)
    problem = _load(steps)
    _all(app, api, *shop)
    return problem


def _database(steps: Steps) -> None:
    if not settings().database_url:
        with steps.step("PostgreSQL"):
            server().wait(settings().stack["pg_port"])
            server().make_database()
    with steps.step("migrations"):
        migrate()


def _sample(steps: Steps) -> None:
    if connected():
        return
    with steps.step("sample library"):
        from deployments.sample import make_sample

        make_sample(settings().landing_folder)


def _sample_shop(steps: Steps) -> None:
    """Sell something in the demo's shop, as long as nothing was sold there."""
    subject = stream("retail_sales")
    if connected() or is_used(subject) or settings().stream != "auto":
        return
    with steps.step("sample shop"):
        from deployments.sample.sales import make_sales
        from tasks.shop.analyse import analyse
        from tasks.stream.consume import consume

        make_sales(subject, datetime.now(UTC))
        consume(subject, once=True)
        analyse(subject)


def _prefect(steps: Steps) -> None:
    if not settings().prefect_api_url:
        with steps.step("Prefect server"):
            _wait_well("prefect-server", pipeline.answers)
    with steps.step("Prefect deployments and worker"):
        pipeline.make_pool()
        supervision.start_program("prefect-worker")
        pipeline.deploy()


def _consume(say: Say, *, afresh: bool) -> None:
    """Have the streams in use be consumed, by a run in Prefect; it starts while `up` returns."""
    own = bool(settings().prefect_api_url)  # whose other workers may have runs that are alive
    for subject in streams().values():
        if is_used(subject) and pipeline.keep_consuming(subject.table, afresh=afresh and not own):
            say(f"{subject.table} is consumed by a run in Prefect.")


def _load(steps: Steps) -> CarrelError | None:
    """Run the library's deployment, unless its gold stands already; return what went wrong."""
    if is_published():
        return None
    with steps.step("library flow, as a deployment run"):
        name = pipeline.deployment_of(GROUP)
        try:
            ended = pipeline.run_deployment(name, progress=_Progress(steps.say))
        except LoadFailed as error:
            return error
    if ended == "Completed":
        return None
    return QualityFailed(f"The library flow ended: {ended}.", remedy="See its page in Prefect.")


def is_published() -> bool:
    """Whether gold of the library stands."""
    query = "select 1 from ops.publications where table_name like '%%library_circulation%%'"
    with connect() as db:
        return db.execute(query).fetchone() is not None


class _Progress:
    """Says what has been loaded so far, when that changes."""

    def __init__(self, say: Say) -> None:
        self.say, self.said = say, ""

    def __call__(self, state: str) -> None:
        supervision.check_alive("prefect-worker")
        with connect() as db:
            row = db.execute(
                "select count(distinct dataset), sum(rows_in) from ops.loads where state = 'done'"
            ).fetchone()
        now = f"  {row[0]} datasets, {row[1]:,} rows" if row and row[1] else f"  {state}"
        if now != self.said:
            self.say(now)
            self.said = now


def _app(steps: Steps) -> None:
    with steps.step("app"):
        supervision.start_program("requests")
        serving = [p for p in programs() if p.name.startswith("app")]
        for program in serving:
            supervision.start_program(program.name)
        for program in serving:
            _wait_well(program.name, partial(app_answers, program.address))


def _api(steps: Steps) -> None:
    with steps.step("API"):
        supervision.start_program("api")
        _wait_well("api", api_answers)


def api_answers() -> bool:
    """Whether the API and its database answer."""
    address = f"http://127.0.0.1:{settings().stack.get('api_port')}/ready"
    try:
        return httpx.get(address, timeout=10, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def app_answers(address: str) -> bool:
    """Whether the app serves its sign-in page at an address."""
    url = f"{address}/health"
    try:
        # Our own certificate names the desk, not this machine: it is known by itself instead.
        verify = _own_certificate() if address.startswith("https") else True
        return httpx.get(url, timeout=10, trust_env=False, verify=verify).status_code < 500
    except httpx.HTTPError:
        return False


def _own_certificate() -> ssl.SSLContext:
    """Trust in the certificate of the settings and in no other."""
    context = ssl.create_default_context(cafile=str(settings().tls_certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _wait_well(name: str, well: Callable[[], bool]) -> None:
    def ready() -> bool:
        supervision.check_alive(name)
        return well()

    problem = f"{name} did not answer"
    supervision.wait_for(ready, START_SECONDS, problem, remedy=supervision.log(name))


def _all(*futures: Future[None]) -> None:
    for future in futures:
        future.result()


def down(say: Say) -> None:
    """Stop everything that `up` started; quietly when nothing runs."""
    began = time.monotonic()
    ended = supervision.stop_supervisor()
    if not settings().database_url:
        server().stop()  # one that was started without the supervisor
    note(**dict.fromkeys(PORTS), app_ports=None, supervisor_socket=None)
    took = time.monotonic() - began
    say(f"Stopped {ended} processes in {took:.1f} s." if ended else "Nothing was running.")


def stay(say: Say) -> None:
    """Wait for Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda *_: stop.set())
    say("Running; Ctrl-C stops it.")
    while not stop.wait(1.0):
        if not supervision.is_supervised():
            raise CarrelError("The supervisor has ended.", remedy=supervision.log("supervisor"))


def status() -> list[tuple[Program, str, bool]]:
    """Each program, its state in words, whether it runs; nothing when the stack is down."""
    known = supervision.states()
    if not known:
        return []
    return [
        (p, known[p.name]["description"] or known[p.name]["statename"].lower(), is_up(p.name))
        for p in programs()
    ]


def failing_hosts() -> list[str]:
    """A line for each remote host that failed of late; none where the database does not answer."""
    from sqlalchemy.exc import SQLAlchemyError

    from tasks.breaker import breakers

    try:
        found = breakers()
    except (CarrelError, SQLAlchemyError):
        return []
    return [
        f"{host:<16} {state}: failed {failures} times in a row"
        + (f", asked again after {until:%Y-%m-%d %H:%M:%S %Z}" if until else "")
        + f"; {error}"
        for host, state, failures, until, error in found
        if failures
    ]


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two `up` at once: the second waits for the first."""
    path: Path = settings().home / "up.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
