"""What the commands remember with: the library that was named, or else the default one, which is only a cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from twinpix.encoder.errors import InputError
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.library.errors import LibraryError, one_line
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.lock import refuse_busy
from twinpix.pipeline.library.place import NAME
from twinpix.pipeline.relation.remembered import RememberedRelations
from twinpix.pipeline.second_look.remembered import Remembered
from twinpix.pipeline.show import message
from twinpix.pipeline.stream import Chunk, Memory, stream


@dataclass(frozen=True)
class Cache:
    """A library that nobody asked for: where it is busy, damaged, full or a newer twinpix's, work goes on without it.

    Attributes:
        library: where embeddings are kept.
        say: what is told in one line.
        faults: the one that it was given up for.
    """

    library: Library
    say: Callable[[str], None]
    faults: list[LibraryError] = field(default_factory=list)

    @property
    def encoder(self) -> Encoder:
        """The library's."""
        return self.library.encoder

    def stream(
        self, encoder: Encoder, roots: Sequence[str | os.PathLike[str]], files: Sequence[Path], workers: int | None
    ) -> Iterator[Chunk]:
        """As `Library.stream`; from the first fault on, as `twinpix.pipeline.stream.stream`."""
        done = 0
        self._announce()
        try:
            for chunk in self.library.stream(encoder, roots, files, workers):
                done += len(chunk.paths) + len(chunk.skipped)
                yield chunk
        except LibraryError as error:
            self.say(f"going on without the library: {error}")
            self.faults.append(error)
            yield from stream(encoder, files[done:], workers)

    def looks(self, paths: Sequence[Path]) -> AbstractContextManager[Remembered | None]:
        """As `Library.looks`; nothing is remembered from the first fault on."""
        return nullcontext() if self.faults else self.library.looks(paths, self.say)

    def relations(self, paths: Sequence[Path]) -> AbstractContextManager[RememberedRelations | None]:
        """As `Library.relations`; the same holds."""
        return nullcontext() if self.faults else self.library.relations(paths, self.say)

    def _announce(self) -> None:
        # people should know what is kept on their disk; scripts find it in the README
        if sys.stderr.isatty() and not (self.library.path / NAME).exists():
            self.say(f"what is encoded is remembered in {self.library.path} (--no-library: it is not)")


def memory(named: Path | None, without: bool, encoder: Encoder, is_own_model: bool) -> Memory | None:
    """What a command remembers with: `--library`, `--no-library` (None), or the default library as a cache.

    Args:
        is_own_model: the encoder was named.

    Raises:
        InputError: both were given.
        LibraryBusyError: another process is writing to the one that was named: that is said before folders are listed.
    """
    if named is not None and without:
        raise InputError("--library or --no-library: give one of the two")
    given = encoder if is_own_model else None
    if without:
        return None
    if named is None:
        return Cache(Library(None, given), message)
    with one_line(named):
        refuse_busy(named)
    return Library(named, given)
