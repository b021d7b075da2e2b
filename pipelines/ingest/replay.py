"""Rejects as a source: the records that were rejected, read again where they first stood, for an ingest after a fix.

The lake keeps masked copies only, so the originals are read from the file or topic. Rejects of a source partition
are passed in order of their position, each replay commits how far it got (see `pipelines.lake.rejects`), and what
fails again is a reject of the replay; so every reject is measured at most once, whatever is killed or run twice.

Belongs here: finding the originals. What cannot be read (a file that is gone, a topic created anew) is left as it
stands; a single record that is gone (retention, a file that was cut) is passed on as a reject. A line that holds
several calls, of which only some were rejected, is read whole: those that were counted are told by event_id, within
the horizon over which it is unique.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from pipelines.errors import ScarecrowError
from pipelines.ingest.files import FileSource
from pipelines.ingest.source import Block, Committed, PartitionStatus, Slice
from pipelines.ingest.streams import STDIN, STREAM_SUFFIXES, TOO_LONG, Stream, refusal, to_block
from pipelines.lake.commit import stand
from pipelines.lake.rejects import Reject, origin_id, partitions, replay_id, standing
from pipelines.lake.tables import Lake

GONE: Final = "the record is gone: "
_AT_ONCE: Final = 20_000
"""Rejects of one slice."""
_GAP: Final = 256 << 10
_WINDOW: Final = 8 << 20


@dataclass
class ReplaySource:
    """All rejects that stood when it was first planned.

    uri: only rejects of this input, read there even if it was named otherwise; None for all, as they were named.
    left: why the rejects of a partition cannot be read, and how many, after `plan`.
    """

    lake: Path
    uri: str | None = None
    settings_file: Path | None = None
    left: dict[str, tuple[str, int]] = field(default_factory=dict)
    _ends: dict[str, tuple[str, int]] | None = None
    _places: dict[str, str] = field(default_factory=dict)

    def plan(self, committed: Committed, max_bytes: int) -> list[Slice]:
        """The next slices: one for each run of rejects of a partition that were named alike."""
        lake = Lake(self.lake)
        if self._ends is None:
            self._ends = self._look(lake)
        slices: list[Slice] = []
        budget = max_bytes
        for app_id, (place, end) in self._ends.items():
            if budget <= 0:
                break
            again = replay_id(app_id)
            start = committed(again) or 0
            waiting = standing(lake, app_id, start, end, _AT_ONCE)
            for label, some in _runs(waiting):
                options = (("rejects", app_id), ("place", place))
                slices.append(Slice(some[0].source, again, start, some[-1].offset, label, options))
                start = some[-1].offset
                budget -= sum(reject.size for reject in some)
        return slices

    def _look(self, lake: Lake) -> dict[str, tuple[str, int]]:
        """Where the originals of each partition are, and the last of its rejects."""
        held = stand(lake).position
        ends = {}
        self.left = {}
        for app_id, source, last, count in partitions(lake):
            uri = self.uri or source
            try:
                place = self._place(origin_id(app_id), uri, held)
            except ScarecrowError as error:
                place, why = None, str(error)
            else:
                why = f"{uri} does not have it any more; name the source where it is now with --source"
            if place is not None:
                ends[app_id] = (place, last)
            elif self.uri is None or self.uri == source:
                self.left[app_id] = (why, count)
        return ends

    def _place(self, origin: str, uri: str, held: Committed) -> str | None:
        """The address or path under which a partition can be read; None when it is not there."""
        if origin.startswith("kafka:"):
            from pipelines.ingest.kafka import is_kafka
            from pipelines.ingest.kafka.replay import place_of

            return place_of(origin, uri, self.settings_file) if is_kafka(uri) else None
        if uri == STDIN or "://" in uri:
            return None
        if uri not in self._places:
            self._places[uri] = uri
            self._places |= FileSource(uri, self.lake).places(held)
        return self._places.get(origin)

    def read(self, part: Slice) -> Iterator[Block]:
        """The originals of a slice's rejects, with their positions."""
        options = dict(part.options)
        rejects = standing(Lake(self.lake), options["rejects"], part.start, part.end, _AT_ONCE)
        place = options["place"]
        if origin_id(part.app_id).startswith("kafka:"):
            from pipelines.ingest.kafka.replay import read_originals

            yield from read_originals(origin_id(part.app_id), place, rejects, self.settings_file)
        elif place.endswith(STREAM_SUFFIXES):
            yield from _from_stream(place, rejects)
        else:
            yield from _from_file(place, rejects)

    def reached(self, part: Slice) -> tuple[int, bool]:
        """The last reject of the slice."""
        return part.end, False

    def acknowledge(self, positions: Mapping[str, int]) -> None:
        """Nobody waits for advice."""

    def status(self, committed: Committed) -> list[PartitionStatus]:
        """Rejects are no source of their own in the mart."""
        return []


def _runs(rejects: Sequence[Reject]) -> Iterator[tuple[str, list[Reject]]]:
    """Neighbours whose positions are written behind the same label, with it."""
    run: list[Reject] = []
    before = ""
    for reject in rejects:
        label = _label(reject)
        if run and label != before and reject.offset != run[-1].offset:
            yield before, run
            run = []
        before = label if not run else before
        run.append(reject)
    if run:
        yield before, run


def _label(reject: Reject) -> str:
    mark = "@" if origin_id(reject.app_id).startswith("kafka:") else ":"
    return reject.position.rpartition(mark)[0] + mark


def line_of(reject: Reject) -> int:
    """The number at the end of a position: a line, or an offset of Kafka."""
    return int(reject.position[len(_label(reject)) :])


def gone(reason: str) -> str:
    """The reason of a reject whose record cannot be read any more."""
    return reason if reason.startswith(GONE) else f"{GONE}{reason}"


def _chosen(block: Block, wanted: Mapping[int, Reject]) -> tuple[Block, set[int]]:
    """The records of a block that end where a reject ended, under the positions of the rejects, and which."""
    assert block.base is not None
    ends = (block.ends + block.base).tolist()
    sizes = (block.ends - block.starts).tolist()
    places = [
        i
        for i, (end, size) in enumerate(zip(ends, sizes, strict=True))
        if end in wanted and wanted[end].size == size
    ]
    index = np.array(places, dtype=np.int64)
    found = [ends[i] for i in places]
    lines = np.array([line_of(wanted[end]) for end in found], dtype=np.int64)
    return Block(block.payload, block.starts[index], block.ends[index], lines, base=block.base), set(found)


def _missed(wanted: Mapping[int, Reject]) -> Iterator[Block]:
    """What is passed on as a reject."""
    for offset, reject in wanted.items():
        is_long = reject.reason == TOO_LONG
        yield refusal(line_of(reject), reject.reason if is_long else gone(reject.reason), b"", offset, 0)


def _from_file(path: str, rejects: Sequence[Reject]) -> Iterator[Block]:
    wanted = {reject.offset: reject for reject in rejects}
    readable = [reject for reject in wanted.values() if reject.size > 0 and reject.reason != TOO_LONG]
    with Path(path).open("rb") as file:
        for start, end in _windows(readable):
            file.seek(start)
            block, found = _chosen(to_block(file.read(end - start), 0, start), wanted)
            for offset in found:
                del wanted[offset]
            yield block
    yield from _missed(wanted)


def _windows(rejects: Sequence[Reject]) -> Iterator[tuple[int, int]]:
    """Ranges of bytes to read: rejects that lie near each other are read in one go."""
    start = end = -1
    for reject in rejects:
        begin = reject.offset - reject.size
        if end >= 0 and begin - end <= _GAP and reject.offset - start <= _WINDOW:
            end = reject.offset
            continue
        if end >= 0:
            yield start, end
        start, end = begin, reject.offset
    if end >= 0:
        yield start, end


def _from_stream(path: str, rejects: Sequence[Reject]) -> Iterator[Block]:
    wanted = {reject.offset: reject for reject in rejects}
    readable = [reject for reject in wanted.values() if reject.size > 0 and reject.reason != TOO_LONG]
    if readable:
        stream = Stream(path)
        try:
            for whole in stream.blocks(readable[0].offset - readable[0].size, readable[-1].offset):
                block, found = _chosen(whole, wanted)
                for offset in found:
                    del wanted[offset]
                if found:
                    yield block
        finally:
            stream.close()
    yield from _missed(wanted)
