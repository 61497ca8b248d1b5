"""Sealed files: opened by their key alone, and no harm goes unnoticed."""

from __future__ import annotations

import io
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.sealed import CHECK, MAGIC, PIECE, PREFIX, SALT, TAG, seal, unseal
from warehouse.errors import CarrelError, ConfigurationError

KEY = "a key for the tests alone"  # pragma: allowlist secret
SALTED = bytes(range(SALT))
HEAD = len(MAGIC) + SALT + CHECK + PREFIX
WHOLE = PIECE + TAG


def sealed(content: bytes, label: str = "a") -> bytes:
    """The sealed form of some bytes that arrive in odd chunks."""
    chunks = (content[at : at + 700_001] for at in range(0, len(content), 700_001))
    return b"".join(seal(chunks, KEY, label, SALTED))


def opened(content: bytes, label: str = "a", key: str | None = KEY) -> bytes:
    """The bytes that were sealed."""
    return b"".join(unseal(io.BytesIO(content), key, label, Path("x.sealed")))


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_what_is_sealed_is_opened(size: int) -> None:
    content = random.Random(size).randbytes(size)
    assert opened(sealed(content)) == content


def test_the_same_bytes_are_never_sealed_the_same() -> None:
    assert sealed(b"x")[HEAD:] != sealed(b"x")[HEAD:]


THREE = sealed(random.Random(1).randbytes(2 * PIECE + 9))
FIRST, SECOND, LAST = (
    THREE[HEAD : HEAD + WHOLE],
    THREE[HEAD + WHOLE : HEAD + 2 * WHOLE],
    THREE[-25:],
)


@pytest.mark.parametrize(
    "harmed",
    [
        THREE[: HEAD + 2 * WHOLE],  # the last piece is cut off
        THREE[: HEAD + WHOLE],
        THREE[:HEAD],
        THREE[:-1],
        THREE + b"x",
        THREE + LAST,
        THREE[:HEAD] + SECOND + FIRST + LAST,
        THREE[:HEAD] + FIRST + FIRST + LAST,
        THREE[: HEAD + 5] + bytes([THREE[HEAD + 5] ^ 1]) + THREE[HEAD + 6 :],
        THREE[: HEAD - 1] + bytes([THREE[HEAD - 1] ^ 1]) + THREE[HEAD:],
    ],
    ids=range(10),  # what is sealed is never the same, and a test's name must be
)
def test_harm_is_noticed(harmed: bytes) -> None:
    with pytest.raises(CarrelError, match="damaged or was changed") as caught:
        opened(harmed)
    assert caught.value.exit_code == 1


def test_another_file_of_the_same_key_is_noticed() -> None:
    with pytest.raises(CarrelError, match="damaged or was changed"):
        opened(sealed(b"x", "backup 1/files.tar"), "backup 2/files.tar")


@pytest.mark.parametrize("key", ["another key for the tests", None])
def test_a_wrong_key_is_told_from_damage(key: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"CARREL_BACKUP_KEY|no key"):
        opened(THREE, key=key)


@pytest.mark.parametrize("content", [b"", b"PGDMP and so on", THREE[:20]])
def test_what_is_no_sealed_file_is_told(content: bytes) -> None:
    with pytest.raises(CarrelError, match="no sealed file"):
        opened(content)


def test_memory_is_bounded(tmp_path: Path) -> None:
    path, size = tmp_path / "x.sealed", 64

    def chunks() -> Iterator[bytes]:
        for _ in range(size):
            yield bytes(PIECE)

    tracemalloc.start()
    with path.open("wb") as file:
        file.writelines(seal(chunks(), KEY, "a", SALTED))
    with path.open("rb") as file:
        assert sum(len(piece) for piece in unseal(file, KEY, "a", path)) == size * PIECE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * PIECE
