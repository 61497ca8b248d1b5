"""What stands for persons met before, so that each is hashed once."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

MOST = 300_000


class Known:
    """Persons and their pseudonyms; forgotten where they grow too many."""

    def __init__(self) -> None:
        """Know nobody."""
        self._forget()

    def _forget(self) -> None:
        self._persons = pa.array([], pa.string())
        self._stands = pa.array([], pa.string())

    def add(self, persons: pa.Array, make: Callable[[pa.Array], pa.Array]) -> None:
        """Make the pseudonyms of those not yet known."""
        if len(self._persons) + len(persons) > MOST:
            self._forget()
        new = persons.filter(pc.invert(pc.is_in(persons, self._persons)))
        if len(new):
            self._persons = pa.concat_arrays([self._persons, new])
            self._stands = pa.concat_arrays([self._stands, make(new)])

    def of(self, persons: pa.Array) -> pa.Array:
        """The pseudonyms, in order."""
        return self._stands.take(pc.index_in(persons, self._persons))
