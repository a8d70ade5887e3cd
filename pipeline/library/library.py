"""The library: every image that was ever added, by content, so that no picture is encoded twice."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import FingerprintError, InputError
from twinpix.encoder.onnx import load_encoder
from twinpix.encoder.protocol import Encoder
from twinpix.encoder.shipped import SHIPPED
from twinpix.pipeline.explore.search import Neighbours, search_embeddings
from twinpix.pipeline.index import Index
from twinpix.pipeline.library.add import Added, Addition, Progress
from twinpix.pipeline.library.cache import served
from twinpix.pipeline.library.check import Problem, problems_of, repair_store
from twinpix.pipeline.library.errors import LibraryError, one_line
from twinpix.pipeline.library.export import export_embeddings
from twinpix.pipeline.library.forget import (
    Forgotten,
    compact_store,
    forget_missing_files,
    remove_files,
    stored_contents,
)
from twinpix.pipeline.library.generations import (
    Generation,
    State,
    current_model,
    finish_begun,
    forget_generation,
    generations,
    is_next_shipped,
)
from twinpix.pipeline.library.lock import refuse_busy, writer_lock
from twinpix.pipeline.library.log import refuse_damaged_log
from twinpix.pipeline.library.looks import KeptLooks
from twinpix.pipeline.library.place import NAME, default_library
from twinpix.pipeline.library.push import Pushed, push_vectors
from twinpix.pipeline.library.pushed import search_pushed
from twinpix.pipeline.library.relations import KEPT_FILES, KeptRelations
from twinpix.pipeline.library.serve import check_known, on_disk, stored_embeddings
from twinpix.pipeline.library.status import Status, status_of
from twinpix.pipeline.library.store import kept_in_place, open_to_read, open_to_write
from twinpix.pipeline.library.taken import note_taken, taken, taken_encoder
from twinpix.pipeline.report import Embeddings, Report
from twinpix.pipeline.stream import Chunk, check_encoder, list_files


class Library:
    """Images and their vectors, kept in a folder of its own: `library.sqlite` and `lock`, and `looks`.

    In `looks` are the outcomes of second looks, which are only taken again where it is lost; in `taken` the files of
    models that you added folders with.

    Nothing is written among your pictures. Any number of processes may read, one at a time may write; whatever ends a
    process, what it had added is kept, but for the last batch (256 images or 3 seconds).

    Args:
        path: the folder; by default the one library in your data folder (TWINPIX_DATA names another).
        encoder: the shipped one by default. Vectors of different encoders are never mixed: with an encoder given here
            its vectors are read, without one those of the current generation, the last that was encoded completely:
            the shipped one's, or those of a model that folders were added with; its file is remembered.

    Every method raises LibraryError, in one line, where the disk fails or the file is not a library;
    LibraryDamagedError where a row is not what was written; InputError where there is nothing to read yet.
    Those that write raise LibraryBusyError, at once, where another process is writing. An empty name is an InputError.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, encoder: Encoder | None = None) -> None:
        if path is not None and not os.fspath(path):
            raise InputError("an empty name: '.' is the working folder")
        if encoder is not None:
            check_encoder(encoder)
        self.path = default_library() if path is None else Path(path).absolute()
        self._given = encoder
        self._loaded: Encoder | None = None

    def __enter__(self) -> Library:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Nothing is left open between calls."""

    def __repr__(self) -> str:
        return f"Library({str(self.path)!r})"

    def __reduce__(self) -> tuple[type[Library], tuple[Path]]:
        """For pickle: the library is opened anew there, and its encoder loaded anew.

        Raises:
            TypeError: it has an encoder of its own, and what that has loaded stays in its process.
        """
        if self._given is not None:
            raise TypeError("a Library with an encoder of its own can't be pickled: open it anew in the other process")
        return Library, (self.path,)

    @property
    def encoder(self) -> Encoder:
        """The one given, else that of the current generation, else the shipped one.

        Raises:
            FingerprintError: the file of the current generation's model is gone, or another one.
        """
        if self._given is not None:
            return self._given
        current = self._current()
        if self._loaded is None or current not in (None, self._loaded.fingerprint):
            self._loaded = load_encoder()
            if current not in (None, self._loaded.fingerprint, *SHIPPED):
                self._loaded = taken_encoder(self.path, current)
        return self._loaded

    def _current(self) -> str | None:
        try:
            with self.reading() as connection:
                return current_model(connection)
        except InputError:  # there is none yet
            return None

    # -- writing

    def add(
        self,
        *roots: str | os.PathLike[str],
        where: str | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> Added:
        """Add every image under the folders; only what is new is encoded.

        A file whose size, times and number on the disk are as before is not read; any other is read and hashed, and
        encoded if its content is new. Interrupted, it goes on from there when it is called again.

        Args:
            roots: folders, searched through and through, or single files.
            where: only files that this filter accepts (`twinpix.pipeline.explore.where`).
            workers: threads; all cores by default.
            progress: called with each finished chunk (without vectors) and the number of files that are read.

        Raises:
            InputError: no folder given or one is not there, or the filter can't be understood.
        """
        if not roots:
            raise InputError("name at least one folder")
        with one_line(self.path):
            refuse_busy(self.path)
        files, unlisted = list_files(roots, where)
        encoder = self.encoder
        with self.writing() as connection:
            if self._given is not None:
                note_taken(self.path, encoder)
            addition = Addition(connection, encoder, skipped=unlisted)
            addition.run(roots, files, workers, progress)
            return addition.outcome()

    def stream(
        self, encoder: Encoder, roots: Sequence[str | os.PathLike[str]], files: Sequence[Path], workers: int | None
    ) -> Iterator[Chunk]:
        """Embeddings of files, in their order, each added to the library on the way: `find_duplicates(library=...)`.

        Another model than the shipped one is only tried out: to let readers see it, `add` with it. A new shipped one
        takes the place of an earlier one.
        """
        with self.writing() as connection:
            addition = Addition(connection, encoder, is_trial=not is_next_shipped(connection, encoder.fingerprint))
            yield from served(addition, roots, files, workers)
            addition.finish()

    def remove(self, *paths: str | os.PathLike[str]) -> int:
        """Forget files, and all files below folders; how many there were. The files themselves are not touched.

        Raises:
            InputError: no path given.
        """
        return sum(self.removed(*paths))

    def removed(self, *paths: str | os.PathLike[str]) -> tuple[int, ...]:
        """As `remove`; how many there were of each path."""
        if not all(map(os.fspath, paths)) or not paths:
            raise InputError("name at least one file or folder")
        with self.changing() as connection:
            forgotten = remove_files(connection, paths)
            self._finish(connection)
            return forgotten

    def forget_missing(self, force: bool = False) -> Forgotten:
        """Forget the files that are gone.

        Folders of which nothing is left (a disk that is not connected) are kept, and named in the outcome.

        Args:
            force: forget those, too.
        """
        with self.changing() as connection:
            forgotten = forget_missing_files(connection, force)
            self._finish(connection)
            return forgotten

    def _finish(self, connection: sqlite3.Connection) -> None:
        finish_begun(connection, next(reversed(taken(self.path)), None))

    def forget_model(self, fingerprint: str) -> int:
        """Forget all vectors of a model that is not the current one, say one that was tried out; how many there were.

        Args:
            fingerprint: as in `status().models`.

        Raises:
            InputError: it is the current one, or has encoded nothing here.
        """
        with self.changing() as connection:
            return forget_generation(connection, fingerprint)

    def compact(self) -> None:
        """Drop vectors and second looks that no file needs, and those of models and code before the current ones."""
        with self.changing() as connection:
            compact_store(connection)
            contents = stored_contents(connection)
            for file in KEPT_FILES:
                file.compact(self.path, contents)

    def repair(self) -> Path | None:
        """Put all sound rows into a new file and set the damaged one aside, never deleting it.

        The next `add` encodes again what was lost.

        Returns:
            Where the damaged file is now; None: nothing was wrong.
        """
        self._must_exist()
        with one_line(self.path), writer_lock(self.path):
            asides = [repair_store(self.path), *(file.repair(self.path) for file in KEPT_FILES)]
            return next((aside for aside in asides if aside is not None), None)

    def looks(self, paths: Sequence[Path], say: Callable[[str], None] | None = None) -> KeptLooks:
        """What is known of second looks at these files; new ones are kept while it is open. No fault of it raises.

        Args:
            say: told in one line what is not remembered, and why; on stderr by default.
        """
        return KeptLooks(self.path, paths, say or _message)

    def relations(self, paths: Sequence[Path], say: Callable[[str], None] | None = None) -> KeptRelations:
        """What is known of the relations of these files; new ones are kept while it is open. See `looks`."""
        return KeptRelations(self.path, paths, say or _message)

    # -- reading

    def embeddings(self, *roots: str | os.PathLike[str]) -> Embeddings:
        """The vectors of all files known under these folders, by name as bytes: float32 (n, dim).

        Files on a disk that is not there are among them. Those that have changed, or have no vector, are in `.skipped`.

        Args:
            roots: folders or files; all that is known, by default.

        Raises:
            FingerprintError: the encoder given has encoded nothing here.
            InputError: the library knows no file below one of the folders.
        """
        with self.reading() as connection:
            fingerprint = None if self._given is None else self._given.fingerprint
            found = stored_embeddings(connection, _generation(connection, fingerprint), roots)
        check_known(roots, found)
        return found

    def search(
        self, image: ImageLike, k: int = 10, threshold: float | None = None, index: Index | None = None
    ) -> Neighbours:
        """The k images of the library that are nearest to one; see `twinpix.search`.

        Files that have changed since are in `.skipped`, and those that are gone where one would be among the nearest.

        Args:
            index: to which its vectors were pushed: asked instead of reading them all. Where it does not hold as many
                as the library, `.skipped` says so.

        Raises:
            ImageError: the image can't be used.
            FingerprintError: this encoder has encoded nothing here.
            StoreError: the index can't be reached.
        """
        encoder = self.encoder
        if index is None:
            stored = self._embeddings_of(encoder)
            found = search_embeddings(image, stored, k, encoder, threshold=threshold)
            if all(os.path.exists(near.path) for near in found.nearest):
                return found
            return search_embeddings(image, on_disk(stored), k, encoder, threshold=threshold)
        with self.reading() as connection:
            generation = _generation(connection, encoder.fingerprint)
            return search_pushed(connection, generation, self.path, image, k, encoder, index, threshold)

    def push(self, index: Index, progress: Callable[[int, int], None] = lambda done, of: None) -> Pushed:
        """Bring an index in step with the library: a vector for each content that is encoded and that a file has.

        An index belongs to one library: what this one does not know is taken out of it.

        Args:
            index: `twinpix.open_index(url, library.encoder.dim, library.encoder.fingerprint)`.
            progress: called with how many have been added so far, and how many are to be.

        Raises:
            FingerprintError: this encoder has encoded nothing here.
            StoreError: the index can't be reached. What was added is kept; the next push goes on from there.
        """
        encoder = self.encoder
        with self.reading() as connection:
            return push_vectors(connection, _generation(connection, encoder.fingerprint), index, progress)

    def duplicates(
        self,
        *roots: str | os.PathLike[str],
        threshold: float | None = None,
        verify: bool | None = None,
        false_pairs: float | None = None,
        workers: int | None = None,
        looking: Callable[[int, int], None] | None = None,
        index: str | None = None,
        thorough: bool = False,
    ) -> Report:
        """Pairs and groups among the files known under these folders (all, by default); see `find_duplicates`.

        Files that are gone, or have changed since, are in `.skipped`.

        Raises:
            InputError, ModelError: as of `find_duplicates`; also where the library knows no file below one of them.
            FingerprintError: this encoder has encoded nothing here.
        """
        from twinpix.pipeline.duplicates import group_duplicates  # not loaded by who only encodes

        encoder = self.encoder
        known = self._embeddings_of(encoder, *roots)
        check_known(roots, known)
        stored = on_disk(known)
        return group_duplicates(
            stored,
            encoder,
            threshold,
            workers,
            verify,
            looking,
            false_pairs,
            index,
            thorough=thorough,
            library=self,
        )

    def export(self, target: str | os.PathLike[str]) -> int:
        """Write all embeddings to a `.parquet`, `.npz` or `.jsonl` file; how many there were.

        Files that have changed since, or have no vector, are left out: `embeddings().skipped` lists them.

        Raises:
            InputError, MissingPackageError: the file can't be written.
        """
        return export_embeddings(self.embeddings(), target)

    def status(self) -> Status:
        """How much there is, and how far each model is."""
        with self.reading() as connection:
            return status_of(connection, self.path)

    def check(self) -> tuple[Problem, ...]:
        """Read everything, and say what is not as it was written: structure, and every row by its digest."""
        with one_line(self.path):
            return problems_of(self.path)

    def _embeddings_of(self, encoder: Encoder, *roots: str | os.PathLike[str]) -> Embeddings:
        with self.reading() as connection:
            return stored_embeddings(connection, _generation(connection, encoder.fingerprint), roots)

    # -- the file

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The file, open to be read; its tables are in `schema`. Errors as of every method."""
        with one_line(self.path), closing(open_to_read(self.path)) as connection:
            connection.execute("BEGIN")  # one moment's state, whatever a writer does meanwhile
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The file, made where there is none, and open to be written; nobody else writes meanwhile."""
        with one_line(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            with writer_lock(self.path):
                refuse_damaged_log(self.path)
                with closing(open_to_write(self.path)) as connection, kept_in_place(self.path):
                    yield connection

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """The same, but raises InputError where there is none."""
        self._must_exist()
        with self.writing() as connection:
            yield connection

    def _must_exist(self) -> None:
        with one_line(self.path):
            is_there = (self.path / NAME).exists()
        if not is_there:
            raise InputError(f"library {self.path}: there is none: add a folder first (twinpix library add DIR)")


def _message(said: str) -> None:
    from twinpix.pipeline.show import message  # rich is slow to load

    message(said)


def _generation(connection: sqlite3.Connection, fingerprint: str | None) -> Generation:
    known = generations(connection)
    for generation in known:
        if generation.fingerprint == fingerprint or (fingerprint is None and generation.state is State.CURRENT):
            return generation
    others = ", ".join(generation.fingerprint for generation in known) or "none"
    if fingerprint is None:
        tried = f", only of models that were tried out ({others})" if known else ""
        raise LibraryError(
            f"the library holds no vectors of a current model{tried}: add a folder first (twinpix library add DIR)"
        )
    raise FingerprintError(
        f"the library holds nothing of encoder {fingerprint}, but of {others}: add the folders with this encoder first"
    )
