"""`check_setup.sh` under the shells that there are, with next to no programs in PATH."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse.settings import ROOT

SCRIPT = ROOT / "deployments/check_setup.sh"
SHELLS = [
    found
    for found in (
        [shutil.which("dash")], [shutil.which("busybox"), "sh"],
        [shutil.which("bash"), "--posix"], ["/bin/sh"],
    )
    if found[0]
]  # fmt: skip
PLENTY = "MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n"
DF = (
    "echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'; echo '/dev/a 9 9 {} 1% /a b'"
)


class Machine:
    """A machine whose programs are stubs."""

    def __init__(self, shell: list[str], folder: Path) -> None:
        self.shell, self.folder = shell, folder
        (folder / "bin").mkdir()
        (folder / "meminfo").write_text(PLENTY)
        self.has("python3", "echo 3.12.4")
        self.has("df", DF.format(9_000_000))
        self.has_real("grep")
        self.has("id", "[ $1 = -u ] && echo 1000")

    def has(self, name: str, does: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def has_real(self, name: str) -> None:
        found = sys.executable if name == "python3" else shutil.which(name)
        if not found:
            pytest.skip(f"there is no {name}")
        (self.folder / "bin" / name).unlink(missing_ok=True)
        (self.folder / "bin" / name).symlink_to(found)

    def lacks(self, name: str) -> None:
        (self.folder / "bin" / name).unlink()

    def check(self, code: int, *arguments: str, **settings: str) -> dict[str, str]:
        """Run it; what was said by subject, remedies with it. Nothing goes to standard error."""
        variables = {"PATH": str(self.folder / "bin"), "CHECK_MEMINFO": f"{self.folder}/meminfo",
                     "CARREL_HOME": f"{self.folder}/home"} | settings  # fmt: skip
        done = subprocess.run(
            [*self.shell, str(SCRIPT), *arguments], cwd=self.folder, env=variables,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert arguments or not done.stderr, done.stderr
        found: dict[str, str] = {}
        subject = ""
        for line in done.stdout.splitlines():
            if line.startswith("      remedy: "):
                found[subject] += line
            elif line[:5].strip() in ("pass", "note", "FAIL"):
                subject = line[6:18].strip()
                found[subject] = found.get(subject, "") + line
        failed = [said for said in found.values() if "FAIL" in said]
        assert all(s.count("FAIL") <= s.count("remedy: ") for s in failed)
        assert bool(failed) == (code == 1)
        return found


@pytest.fixture(params=SHELLS, ids=lambda s: Path(s[0]).name)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return Machine(request.param, tmp_path)


@pytest.fixture
def listening() -> Iterator[int]:
    """The port of something that listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield server.getsockname()[1]


def test_a_fit_machine_passes(machine: Machine) -> None:
    found = machine.check(0)
    assert "3.12.4 (python3)" in found["Python"]
    assert "8789 MB" in found["disk"]
    assert "7812 MB" in found["memory"]
    assert "folder log" in found["stream"]


def test_without_any_program_it_still_tells(machine: Machine) -> None:
    for name in ("python3", "df", "id", "grep"):
        machine.lacks(name)
    found = machine.check(1)
    assert found["Python"].startswith("FAIL")
    assert "there is no df" in found["disk"]
    assert "no grep" in found["port"]
    broker = machine.check(1, CARREL_KAFKA_BOOTSTRAP="127.0.0.1:1")["broker"]
    assert "not asked" in broker


def test_too_little_fails_with_a_remedy(machine: Machine) -> None:
    machine.has("python3", "echo 3.9.1")
    machine.has("df", DF.format(1_000_000))
    (machine.folder / "meminfo").write_text("MemAvailable:    900000 kB\n")
    (machine.folder / "file").touch()
    found = machine.check(1, CARREL_PROJECT=f"{machine.folder}/file/local", CARREL_APP_PORT="x")
    assert "python3 is 3.9.1" in found["Python"]
    assert "976 MB free" in found["disk"]
    assert "878 MB available" in found["memory"]
    assert "cannot be written" in found["writing"]
    assert "x is no port for the app" in found["port"]


def test_a_python_that_can_make_no_environment_fails(machine: Machine) -> None:
    machine.has("python3", 'case "$*" in *sys.version*) echo 3.11.2 ;; *) exit 1 ;; esac')
    assert "can make no environment" in machine.check(1)["Python"]


def test_root_needs_an_account_for_postgresql(machine: Machine) -> None:
    machine.has("id", "[ $1 = -u ] && echo 0")
    assert "useradd" in machine.check(1)["database"]
    machine.has("id", "[ $1 = -u ] && echo 0 || [ $1 = nobody ]")
    assert "run as nobody" in machine.check(0)["database"]


def test_a_taken_port_is_told_and_is_no_fault(machine: Machine, listening: int) -> None:
    found = machine.check(0, CARREL_APP_PORT=str(listening))
    assert f"{listening} is taken; the app will get the next free one" in found["port"]


@pytest.mark.parametrize("by", ["bash", "curl", "nc", "python3"])
def test_a_broker_is_asked_by_what_there_is(tmp_path: Path, listening: int, by: str) -> None:
    machine = Machine(SHELLS[0], tmp_path)  # which shell runs it makes no difference here
    machine.has_real(by)
    if by == "bash":
        machine.has_real("timeout")
    brokers = f"127.0.0.1:{listening},127.0.0.1:1,a:b"
    found = machine.check(1, CARREL_KAFKA_BOOTSTRAP=brokers)["broker"]
    assert f"127.0.0.1:{listening} answers" in found
    assert "127.0.0.1:1 does not answer" in found
    assert "a:b is no host:port" in found


def test_the_own_database_is_asked_and_its_password_never_told(
    machine: Machine, listening: int
) -> None:
    machine.has_real("python3")
    place = f"127.0.0.1:{listening}/carrel?sslmode=require"
    url = f"postgresql://u:hush@{place}"  # pragma: allowlist secret
    found = machine.check(0, CARREL_DATABASE_URL=url)
    assert f"127.0.0.1:{listening} answers" in found["database"]
    found = machine.check(1, CARREL_DATABASE_URL="postgresql://u:hush@[::1]:1/carrel")
    assert "::1:1 does not answer" in found["database"]
    assert "hush" not in str(found)


def test_settings_env_is_read_and_never_run(machine: Machine) -> None:
    home = machine.folder / "home"
    home.mkdir()
    (home / "settings.env").write_text(
        "# CARREL_PG_PORT=1\nCARREL_PG_PORT=$(touch ran)\nexport CARREL_APP_PORT='77777'\n"
        "CARREL_X`touch ran`=1\nPATH=/nowhere\nCARREL_API_PORT=9"
    )
    found = machine.check(1, CARREL_API_PORT="8")["port"]
    assert "$(touch ran) is no port for PostgreSQL" in found
    assert "77777 is no port for the app" in found
    assert " 8 is " in found
    assert not (machine.folder / "ran").exists()
    assert sorted(p.name for p in machine.folder.iterdir()) == ["bin", "home", "meminfo"]


def test_an_argument_is_wrong_use(machine: Machine) -> None:
    machine.check(2, "--help")


def test_it_is_plain_sh() -> None:
    text = SCRIPT.read_text("utf-8")
    assert text.startswith("#!/bin/sh\n")
    assert os.access(SCRIPT, os.X_OK)
    for bashism in ("[[", "function ", "local ", "<<<", "&>", "source "):
        assert bashism not in text
