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
        self._persons = pa.nulls(0, pa.string())
        self._stands = pa.nulls(0, pa.string())

    def of(self, persons: pa.Array, make: Callable[[pa.Array], pa.Array]) -> pa.Array:
        """What stands for each of the persons; `make` makes it for those not met before."""
        places = pc.index_in(persons, self._persons)
        stands = self._stands.take(places)
        if not places.null_count:
            return stands
        unknown = places.is_null()
        strangers = persons.filter(unknown)
        new = strangers.unique()
        if len(self._persons) and len(self._persons) + len(new) > MOST:
            self._forget()
            return self.of(persons, make)
        made = make(new)
        self._persons = pa.concat_arrays([self._persons, new])
        self._stands = pa.concat_arrays([self._stands, made])
        return pc.replace_with_mask(stands, unknown, made.take(pc.index_in(strangers, new)))
