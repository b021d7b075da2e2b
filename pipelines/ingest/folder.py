"""Folding as it comes: measured requests are added up now and then, so that memory holds rows and not requests.

Belongs here: when to fold and when to hand on. How it is done is in `requests` and `fold`.
"""

from collections.abc import Callable
from typing import Final

from pipelines.ingest.fold import Map, Rows, concat, fold
from pipelines.ingest.requests import Requests, fold_requests

MOST_ROWS: Final = 1 << 16
"""Rows that are folded together before they are handed on."""
MOST_REQUESTS: Final = 1 << 17
"""Requests that wait for a fold, of some 300 bytes each. The more, the fewer rows are folded twice."""


class Folder:
    """Folds what is added.

    More than `limit` folded rows are handed to `full`, so memory is bounded whatever the number of accounts.
    """

    def __init__(
        self,
        full: Callable[[Rows], None],
        limit: int = MOST_ROWS,
        requests: int = MOST_REQUESTS,
        run: Map = map,
    ) -> None:
        self._full = full
        self._limit = limit
        self._most = requests
        self._run = run
        self._parts: list[Requests] = []
        self._waiting = 0
        self._folded: list[Rows] = []

    def add(self, requests: Requests) -> None:
        """Take over some requests."""
        self._parts.append(requests)
        self._waiting += len(requests)
        if self._waiting >= self._most:
            self._fold()

    def _fold(self) -> None:
        parts, self._parts, self._waiting = self._parts, [], 0
        if not parts:
            return
        for rows in fold_requests(parts, self._limit, self._run):
            if len(rows) == self._limit:
                self._full(rows)
            else:
                self._folded.append(rows)
        if sum(map(len, self._folded)) > self._limit:
            self._merge()

    def _merge(self) -> None:
        folded, self._folded = self._folded, []
        merged = fold(concat(folded), run=self._run)
        if len(merged) > self._limit:
            self._full(merged)
        else:
            self._folded = [merged]

    def finish(self) -> None:
        """Hand over what is left."""
        self._fold()
        if self._folded:
            self._full(fold(concat(self._folded), run=self._run))
            self._folded = []
