"""Embedding many files: decoded and encoded in parallel, a bounded number at a time, in a fixed order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.decode import ImageLike
from twinpix.encoder.errors import ImageError, InputError, ModelError
from twinpix.encoder.find import find_files
from twinpix.encoder.onnx import load_encoder
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.explore.where import parse_where
from twinpix.pipeline.report import Embeddings, Skipped
from twinpix.pipeline.threads import cores, decoding_threads

if TYPE_CHECKING:  # who only encodes need not load the second look
    from twinpix.pipeline.relation.remembered import RememberedRelations
    from twinpix.pipeline.second_look.remembered import Remembered

NO_EMBEDDING = ("no_embedding", "the model gives NaN or infinity for it: use another model, or leave it out")
CHUNK = 16  # files that one worker decodes and encodes as one batch


@dataclass(frozen=True)
class Chunk:
    """What became of up to `CHUNK` files.

    Attributes:
        paths: n files that were embedded.
        vectors: float32 (n, dim).
        skipped: the others.
    """

    paths: tuple[Path, ...]
    vectors: NDArray[np.float32]
    skipped: tuple[Skipped, ...]


class Memory(Protocol):
    """What remembers embeddings of files and second looks at them.

    It is a `twinpix.Library`, or one that is given up where it fails.
    """

    @property
    def encoder(self) -> Encoder:
        """What to encode with, where nothing else is said."""

    def stream(
        self, encoder: Encoder, roots: Sequence[str | os.PathLike[str]], files: Sequence[Path], workers: int | None
    ) -> Iterator[Chunk]:
        """The files' chunks in the order of `files`, bit for bit as `stream` gives them.

        Args:
            roots: where the files were found.
        """

    def looks(self, paths: Sequence[Path]) -> AbstractContextManager[Remembered | None]:
        """What is remembered of second looks at these files, and where those of new ones go while it is open."""

    def relations(self, paths: Sequence[Path]) -> AbstractContextManager[RememberedRelations | None]:
        """The same for what these files are to one another."""


def stream(encoder: Encoder, paths: Sequence[Path], workers: int | None = None) -> Iterator[Chunk]:
    """Embed files in parallel; chunks come in the order of `paths`, whatever the timing.

    A worker has a chunk decoded and runs it through the encoder itself (both release the interpreter lock),
    so at most `2 * workers` chunks of small, preprocessed pictures are in memory at once.
    """
    workers = cores() if workers is None else workers
    pending: deque[Future[Chunk]] = deque()
    with decoding_threads(workers) as pool:
        for chunk in in_runs(paths, workers, CHUNK):
            pending.append(pool.submit(_embed, encoder, chunk))
            if len(pending) >= 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def in_runs(paths: Sequence[Path], workers: int, most: int) -> Iterator[Sequence[Path]]:
    """The files in runs of up to `most`, shorter ones towards the end, so that all workers have something to do.

    Guided self-scheduling (Polychronopoulos & Kuck 1987). An embedding does not depend on what else is in its batch.
    """
    start = 0
    while start < len(paths):
        share = -(-(len(paths) - start) // (2 * workers))
        end = start + min(most, share)
        yield paths[start:end]
        start = end


def _embed(encoder: Encoder, paths: Sequence[Path]) -> Chunk:
    good: list[Path] = []
    pictures: list[NDArray[Any]] = []
    skipped: list[Skipped] = []
    for path in paths:
        try:
            pictures.append(encoder.prepare(path))
            good.append(path)
        except ImageError as error:
            skipped.append(Skipped(path, error.reason, str(error)))
    vectors, sound = vectors_of(encoder, pictures)
    skipped += [unembedded(path) for path, is_sound in zip(good, sound, strict=True) if not is_sound]
    return Chunk(tuple(compress(good, sound)), vectors[sound], tuple(skipped))


def vectors_of(encoder: Encoder, pictures: Sequence[NDArray[Any]]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Prepared pictures -> float32 (n, dim), and which of them `are_numbers`, bool (n,).

    Raises:
        ModelError: they are not as long as the encoder says.
    """
    if not pictures:
        return np.empty((0, encoder.dim), np.float32), np.empty(0, bool)
    vectors = encoder.encode(np.stack(pictures))
    if vectors.shape != (wanted := (len(pictures), encoder.dim)):
        raise ModelError(f"encoder {encoder.fingerprint}: its vectors are {vectors.shape}, and should be {wanted}")
    return vectors, are_numbers(vectors)


def are_numbers(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Of vectors, float32 (n, dim), which have no NaN or infinity in them, bool (n,)."""
    return np.asarray(np.isfinite(vectors).all(axis=1))


def vector_of(encoder: Encoder, image: ImageLike) -> NDArray[np.float32]:
    """One image -> float32 (dim,).

    Raises:
        ImageError: it can't be used, or the model gives NaN or infinity for it.
        ModelError: as of `vectors_of`.
    """
    vectors, sound = vectors_of(encoder, [encoder.prepare(image)])
    if not sound[0]:
        raise ImageError(*NO_EMBEDDING)
    vector: NDArray[np.float32] = vectors[0]
    return vector


def unembedded(path: Path) -> Skipped:
    """The outcome of a file for which the model gives NaN or infinity."""
    reason, message = NO_EMBEDDING
    return Skipped(path, reason, f"{path}: {message}")


def encoder_for(encoder: Encoder | None, library: Memory | None) -> Encoder:
    """The one given, or else the library's, or else the shipped one.

    Raises:
        InputError: one of the two is something else, say a path.
    """
    if library is not None and not hasattr(library, "stream"):
        raise InputError(f"library={library!r}: pass twinpix.Library(PATH)")
    if encoder is not None:
        check_encoder(encoder)
        return encoder
    return load_encoder() if library is None else library.encoder


def check_encoder(encoder: Encoder) -> None:
    """Raises InputError where it is something else, say the path of a model."""
    if not hasattr(encoder, "prepare"):
        raise InputError(f"encoder={encoder!r}: pass twinpix.load_encoder(FILE)")


def embed(
    encoder: Encoder,
    roots: Sequence[str | os.PathLike[str]],
    files: Sequence[Path],
    workers: int | None,
    library: Memory | None,
) -> Iterator[Chunk]:
    """`stream`, through a library where one is given."""
    return stream(encoder, files, workers) if library is None else library.stream(encoder, roots, files, workers)


def list_files(roots: Sequence[str | os.PathLike[str]], where: str | None = None) -> tuple[list[Path], list[Skipped]]:
    """Every regular file under the roots, and the folders and files that could not even be looked at.

    Args:
        where: only files that this filter accepts (`twinpix.pipeline.explore.where`).

    Raises:
        InputError: a root is not there, or the filter can't be understood.
    """
    unlisted: list[Skipped] = []
    wanted = parse_where(where)

    def note(path: Path, error: OSError) -> None:
        unlisted.append(Skipped(path, "permission_denied", f"{path}: can't be read ({error.strerror})"))

    return [path for path in find_files(roots, note) if wanted.accepts(path)], unlisted


def watch(
    chunks: Iterable[Chunk], total: int, progress: Callable[[Chunk, int], None] | None, skipped: list[Skipped]
) -> Iterator[Chunk]:
    """Pass chunks on; report each to `progress`, and collect what was skipped."""
    for chunk in chunks:
        skipped.extend(chunk.skipped)
        if progress is not None:
            progress(chunk, total)
        yield chunk


def encode_images(
    *roots: str | os.PathLike[str],
    encoder: Encoder | None = None,
    workers: int | None = None,
    progress: Callable[[Chunk, int], None] | None = None,
    where: str | None = None,
    library: Memory | None = None,
) -> Embeddings:
    """Embed every image under the folders.

    Args:
        roots: folders, searched through and through, or single files.
        encoder: by default that of the library, or the shipped one.
        workers: threads; all cores by default.
        progress: called with each finished chunk and the number of all files.
        where: only files that this filter accepts (`twinpix.pipeline.explore.where`).
        library: a `twinpix.Library` that the files are added to; what it knows is not encoded again. By default nothing
            is remembered.

    Raises:
        InputError: no folder given or one is not there, or the filter can't be understood. Unreadable files don't
            raise: they are in `.skipped`.
        LibraryError: the library can't be written; LibraryBusyError: another process is writing to it.
    """
    if not roots:
        raise InputError("name at least one folder")
    encoder = encoder_for(encoder, library)
    files, skipped = list_files(roots, where)
    chunks = list(watch(embed(encoder, roots, files, workers, library), len(files), progress, skipped))
    vectors = np.concatenate([np.empty((0, encoder.dim), np.float32), *(chunk.vectors for chunk in chunks)])
    paths = tuple(path for chunk in chunks for path in chunk.paths)
    return Embeddings(paths, vectors, encoder.fingerprint, tuple(skipped))
