"""The encoder as people run it: an ONNX file in ONNX Runtime, and whatever can be turned into a picture."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.calibration import Calibration, read_calibration
from twinpix.encoder.decode import ImageLike, read_picture
from twinpix.encoder.errors import ImageError, MissingPackageError, ModelError
from twinpix.encoder.preprocess import Preprocess
from twinpix.encoder.protocol import Vectors

if TYPE_CHECKING:
    import onnxruntime

METADATA_KEY = "twinpix"
MODELS = Path(__file__).resolve().parent.parent / "models"
BATCH = 32


class OnnxEncoder:
    """Pictures -> embeddings. Safe to share between threads.

    Args:
        path: a `.onnx` file that `twinpix train` wrote; it brings its own preprocessing and calibration.
        threads: CPU threads of one inference; parallelism over images comes from the pipeline.

    Raises:
        ModelError: not there, damaged, or not a twinpix encoder.
        MissingPackageError: neither onnxruntime nor onnxruntime-gpu is installed.
    """

    max_distance = 2.0  # of two vectors of norm 1

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        self.path = Path(path)
        self._threads = threads
        facts = self._facts
        try:
            self.preprocess = Preprocess(**facts["preprocess"])
            self.dim: int = int(facts["dim"])
            self.fingerprint: str = str(facts["fingerprint"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.path}: the metadata of the model is damaged ({error})") from None
        self.name = f"{self.path.stem} {self.fingerprint[:6]}"
        self._curve: dict[str, Any] | None = facts.get("calibration")

    def __repr__(self) -> str:
        return f"OnnxEncoder({str(self.path)!r}, dim={self.dim}, fingerprint={self.fingerprint!r})"

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
            raise ModelError(f"{self.path}: not calibrated: pass a threshold, or finish its training")
        return read_calibration(self._curve)

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        runtime = _import_onnxruntime()
        if not self.path.is_file():
            raise ModelError(f"{self.path}: no such model file")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return runtime.InferenceSession(self.path, options, providers=_providers(runtime))
        except Exception as error:  # onnxruntime's own exception classes are private
            raise ModelError(f"{self.path}: not a readable ONNX model ({_one_line(error)})") from None

    @property
    def _facts(self) -> dict[str, Any]:
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise ModelError(
                f"{self.path}: an ONNX model, but not a twinpix encoder (train or export one with twinpix)"
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
        return self.preprocess(read_picture(source, at_least=self.preprocess.size))

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


def load_encoder(path: str | os.PathLike[str] | None = None) -> OnnxEncoder:
    """The shipped encoder, or the one in a `.onnx` file that `twinpix train` wrote.

    Raises:
        ModelError, MissingPackageError: see `OnnxEncoder`.
    """
    return OnnxEncoder(MODELS / "twinpix.onnx" if path is None else path)


def fingerprint(network: bytes, preprocess: Preprocess) -> str:
    """16 hex digits that change with the network or the preprocessing, and with nothing else.

    Args:
        network: the serialised ONNX graph without metadata.
    """
    digest = hashlib.sha256(network)
    digest.update(json.dumps(preprocess.to_dict(), sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise MissingPackageError(
            "ONNX Runtime is not installed: pip install 'twinpix[cpu]' (or 'twinpix[gpu]')"
        ) from None
    return onnxruntime


def _providers(runtime: Any) -> list[str]:
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    return [name for name in wanted if name in runtime.get_available_providers()]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


__all__ = ["ImageError", "ImageLike", "OnnxEncoder", "Vectors", "fingerprint", "load_encoder"]
