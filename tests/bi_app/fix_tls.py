"""A certificate of our own, and the app served over TLS with declared proxies."""

from __future__ import annotations

import datetime as dt
import ipaddress
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
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bi_app.serve import command, environment
from tests.fix_warehouse import NONE, use
from tests.ports import free_port
from warehouse.settings import ROOT, settings

PROXY = "127.0.0.2"  # Linux lets a client come from any address of 127/8


@dataclass(frozen=True)
class Files:
    certificate: Path
    key: Path


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


def self_signed(folder: Path, name: str = "localhost") -> Files:
    """A certificate for localhost and 127.0.0.1, signed by its own key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / "certificate.pem", folder / "key.pem")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.touch(0o600)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


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
