"""A certificate of our own, and the app served over TLS with declared proxies."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bi_app.serve import command, environment
from tests.certificates import Files, self_signed
from tests.fix_warehouse import NONE, use
from tests.ports import free_port
from warehouse.settings import ROOT, settings

PROXY = "127.0.0.2"  # Linux lets a client come from any address of 127/8


@dataclass(frozen=True)
class Sealed:
    """The app over TLS."""

    base: str
    trust: ssl.SSLContext
    log: Path

    def client(self, source: str = "127.0.0.1", **headers: str) -> httpx.Client:
        """A browser that comes from an address."""
        transport = httpx.HTTPTransport(verify=self.trust, local_address=source)
        return httpx.Client(base_url=self.base, transport=transport, headers=headers, timeout=30)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def sealed(
    library: str, certificate: Files, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sealed]:
    """The app as `carrel up` serves it with a certificate and a declared proxy."""
    log = tmp_path_factory.mktemp("sealed") / "app.log"
    wanted = {
        "CARREL_TLS_CERTIFICATE": str(certificate.certificate),
        "CARREL_TLS_KEY": str(certificate.key),
        "CARREL_TRUSTED_PROXIES": f"{PROXY}/32",
    }
    port = free_port()
    use(library)
    os.environ |= wanted
    settings.cache_clear()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command(port), cwd=ROOT, env=os.environ | environment(), stdout=out, stderr=out
        )
    for name in wanted:
        del os.environ[name]
    use(NONE)
    trust = ssl.create_default_context(cafile=str(certificate.certificate))
    served = Sealed(f"https://127.0.0.1:{port}", trust, log)
    try:
        _wait(served, process)
        yield served
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _wait(served: Sealed, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        assert process.poll() is None, served.log.read_text()
        try:
            with served.client() as client:
                if client.get("/health").status_code == 200:
                    return
        except httpx.TransportError:
            time.sleep(0.2)
    raise TimeoutError(served.log.read_text())
