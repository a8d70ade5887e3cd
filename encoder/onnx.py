"""The encoder as people run it: an ONNX file in ONNX Runtime, and whatever can be turned into a picture."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.calibration import Calibration, read_calibration
from twinpix.encoder.decode import ImageLike, as_file, read_picture
from twinpix.encoder.door import elsewhere
from twinpix.encoder.errors import ImageError, InputError, ModelError
from twinpix.encoder.graph import network_of
from twinpix.encoder.preprocess import Preprocess, prepared
from twinpix.encoder.protocol import Vectors
from twinpix.encoder.session import check_onnxruntime, open_session, told_aside

if TYPE_CHECKING:
    import onnxruntime

METADATA_KEY = "twinpix"
INSIDE = ("schema", "dim", "fingerprint", "preprocess", "calibration")  # of the metadata
MODELS = Path(__file__).resolve().parent.parent / "models"
BATCH = 32


class OnnxEncoder:
    """Pictures -> embeddings. Safe to share between threads.

    Args:
        path: a `.onnx` file that `twinpix train` wrote; it brings its own preprocessing and calibration.
        threads: CPU threads of one inference; parallelism over images comes from the pipeline.
        session: of that file, where it is open already. It is opened for the first picture otherwise, if `NAME.json`
            beside the file tells what is inside.
        told: the metadata inside, where they are known already.

    Raises:
        ModelError: not there, damaged, or not a twinpix encoder.
        MissingPackageError: neither onnxruntime nor onnxruntime-gpu is installed.
    """

    max_distance = 2.0  # of two vectors of norm 1

    preprocess: Preprocess
    dim: int
    fingerprint: str

    def __init__(
        self,
        path: str | os.PathLike[str],
        threads: int = 1,
        session: onnxruntime.InferenceSession | None = None,
        told: str | None = None,
    ) -> None:
        self.path, self._threads, self._opened, self._told = Path(path), threads, session, told
        self._opening = threading.Lock()
        check_onnxruntime()
        self._curve: dict[str, Any] | None = None
        self._describe()
        self.name = f"{self.path.stem} {self.fingerprint[:6]}"

    def _describe(self) -> None:
        facts = self._facts
        try:
            self.preprocess = Preprocess(**facts["preprocess"])
            self.dim = int(facts["dim"])
            # that of a file which no NAME.json vouches for may be of other weights than its own
            network = None if self._told else network_of(self.path)
            self.fingerprint = str(facts["fingerprint"]) if network is None else fingerprint(network, self.preprocess)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.path}: the metadata of the model is damaged ({error})") from None
        self._curve = facts.get("calibration")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, dim={self.dim}, fingerprint={self.fingerprint!r})"

    @property
    def is_calibrated(self) -> bool:
        """Whether the model file says what its distances mean."""
        return self._curve is not None

    @cached_property
    def calibration(self) -> Calibration:
        """What its distances mean.

        Raises:
            ModelError: the model was not calibrated, or its calibration is damaged.
        """
        if self._curve is None:
            raise ModelError(
                f"{self.path}: not calibrated: pass a threshold (--threshold), or measure what its distances mean: "
                f"twinpix calibrate DIR --model {shlex.quote(str(self.path))}"
            )
        return read_calibration(self._curve)

    @property
    def _session(self) -> onnxruntime.InferenceSession:
        with self._opening:
            if self._opened is None:
                self._opened = open_session(self.path, self._threads)
            return self._opened

    def _metadata(self) -> str | None:
        if self._opened is None:
            self._told = self._told or told_aside(self.path, INSIDE)
        if self._told:
            return self._told
        text: str | None = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        return text

    @property
    def _facts(self) -> dict[str, Any]:
        text = self._metadata()
        if text is None:
            raise ModelError(
                f"{self.path}: an ONNX model, but not a twinpix encoder (load_encoder opens models made elsewhere)"
            )
        try:
            facts = dict(json.loads(text))
        except (TypeError, ValueError) as error:
            raise ModelError(f"{self.path}: the metadata of the model is damaged ({error})") from None
        if facts.get("schema") != 1:
            raise ModelError(f"{self.path}: made by a newer twinpix (schema {facts.get('schema')}): upgrade twinpix")
        return facts

    def prepare(self, source: ImageLike) -> NDArray[np.uint8]:
        """Decode and preprocess one image -> uint8 (3, size, size).

        Raises:
            ImageError: the image can't be used; `.reason` says why.
        """
        return prepare(source, self.preprocess)

    def encode(self, pictures: NDArray[np.uint8]) -> Vectors:
        """Prepared pictures, uint8 (n, 3, size, size) -> float32 (n, dim), L2 norm 1."""
        if len(pictures) == 0:
            return np.empty((0, self.dim), np.float32)
        name = self._session.get_inputs()[0].name
        blocks = [pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH)]
        return np.concatenate([np.asarray(self._session.run(None, {name: b})[0], np.float32) for b in blocks])

    @overload
    def __call__(self, images: ImageLike) -> Vectors: ...
    @overload
    def __call__(self, images: Sequence[ImageLike]) -> Vectors: ...
    def __call__(self, images: ImageLike | Sequence[ImageLike]) -> Vectors:
        """One image -> float32 (dim,); a list of n images -> float32 (n, dim). Norm 1.

        An image is a path, the bytes of a file, a Pillow image or a uint8 array (height, width[, 1|3|4]).

        Raises:
            ImageError: an image can't be used.
        """
        if isinstance(images, (list, tuple)):
            blocks = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
            vectors = [self.encode(np.stack([self.prepare(image) for image in block])) for block in blocks]
            return np.concatenate([np.empty((0, self.dim), np.float32), *vectors])
        vector: Vectors = self.encode(self.prepare(cast(ImageLike, images))[None])[0]
        return vector


def prepare(source: ImageLike, preprocess: Preprocess) -> NDArray[np.uint8]:
    """As `OnnxEncoder.prepare`, for any model's preprocessing."""
    decoder = elsewhere()
    if decoder is None or isinstance(source, (Image.Image, np.ndarray)):
        return prepared(read_picture(source, preprocess.size, preprocess.jpeg_at_least), preprocess)
    return decoder.prepare(as_file(source), preprocess)  # where fewer levels need to travel


def load_encoder(path: str | os.PathLike[str] | None = None, **settings: Any) -> OnnxEncoder:
    """The shipped encoder, the one in a `.onnx` file that `twinpix train` wrote, or any other ONNX image model.

    Args:
        path: the shipped one by default.
        settings: preprocessing of a model made elsewhere, as in `twinpix.encoder.foreign.ForeignEncoder`.

    Raises:
        ModelError, MissingPackageError: see `OnnxEncoder` and `ForeignEncoder`.
        InputError: settings for a model that brings its own.
    """
    from twinpix.encoder.foreign import ForeignEncoder  # builds on this module

    path = MODELS / "twinpix.onnx" if path is None else Path(path)
    told = told_aside(path, INSIDE)
    session = None if told else open_session(path)
    if session is not None and METADATA_KEY not in session.get_modelmeta().custom_metadata_map:
        # type checkers know this file by two names, and ForeignEncoder builds on the other one
        return cast(OnnxEncoder, ForeignEncoder(path, session=session, **settings))
    if settings:
        raise InputError(f"{path}: brings its own preprocessing, so {', '.join(settings)} can't be set")
    return OnnxEncoder(path, session=session, told=told)


def fingerprint(network: bytes, preprocess: Preprocess) -> str:
    """16 hex digits that change with the network or the preprocessing, and with nothing else.

    Args:
        network: the serialised ONNX graph without metadata.
    """
    digest = hashlib.sha256(network)
    digest.update(json.dumps(preprocess.to_dict(), sort_keys=True).encode())
    return digest.hexdigest()[:16]


__all__ = ["ImageError", "ImageLike", "OnnxEncoder", "Vectors", "fingerprint", "load_encoder"]
