"""Image models made elsewhere (ResNet, the image tower of CLIP ...) as encoders: any ONNX file with one image input."""

from __future__ import annotations

import hashlib
import json
import os
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twinpix.encoder.errors import ModelError
from twinpix.encoder.graph import weight_files
from twinpix.encoder.onnx import BATCH, OnnxEncoder
from twinpix.encoder.protocol import Vectors
from twinpix.encoder.recipe import Recipe, find_recipe, image_input
from twinpix.encoder.session import one_line, sha256_of

if TYPE_CHECKING:
    import onnxruntime

SPATIAL_AXES = {"NCHW": (2, 3), "NHWC": (1, 2)}


class ForeignEncoder(OnnxEncoder):
    """Pictures -> embeddings of a model that twinpix did not train. Safe to share between threads.

    Its distances are not calibrated: a threshold is yours to give, or to measure with `twinpix calibrate`.

    Args:
        path: an ONNX file; input float32, float16 or uint8, NCHW or NHWC, of any batch; output (n, d), or a map of
            features (n, d, h, w) or (n, h, w, d), which is averaged over places.
        threads, session: as in `OnnxEncoder`.
        settings: `preset` ("imagenet", "clip") and the attributes of `Recipe`; they may also stand in `NAME.json`
            beside the model. What the input's shape says need not be given.

    Raises:
        ModelError: not there, damaged, unsuitable, or its preprocessing is not known.
        MissingPackageError: neither onnxruntime nor onnxruntime-gpu is installed.
    """

    preprocess: Recipe

    def __init__(
        self,
        path: str | os.PathLike[str],
        threads: int = 1,
        session: onnxruntime.InferenceSession | None = None,
        **settings: Any,
    ) -> None:
        self._settings = settings
        super().__init__(path, threads, session)

    def _describe(self) -> None:
        try:
            self._input = image_input(self._session)
        except ModelError as error:
            raise ModelError(f"{self.path}: {error}") from None
        self.preprocess = find_recipe(self.path, self._input, self._settings)
        self._output = self._find_output()
        self.max_distance = 2.0 if self.preprocess.normalise else float("inf")
        self.dim = self._try_out()
        self.fingerprint = _fingerprint(self.path, self.preprocess)

    def _find_output(self) -> str:
        names = [output.name for output in self._session.get_outputs()]
        wanted = self.preprocess.output or names[0]
        if wanted not in names:
            raise ModelError(f"{self.path}: no output {wanted!r}: there are {', '.join(names)}")
        return wanted

    def _try_out(self) -> int:
        shape = (2, 3, self.preprocess.size, self.preprocess.columns)
        noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        try:
            found = self._run(noise[: self._input.shape[0] or 2])
        except ModelError:
            raise
        except Exception as error:  # onnxruntime's own exception classes are private
            raise ModelError(f"{self.path}: does not run on {self._input} ({one_line(error)})") from None
        if not np.isfinite(found).all() or not found.any():
            raise ModelError(f"{self.path}: gives no numbers, or zeros alone: do scale, mean and std fit it?")
        return int(found.shape[1])

    def encode(self, pictures: NDArray[np.uint8]) -> Vectors:
        """Prepared pictures, uint8 (n, 3, height, width) -> float32 (n, dim)."""
        step = self._input.shape[0] or BATCH
        blocks = [self._run(pictures[i : i + step]) for i in range(0, len(pictures), step)]
        return np.concatenate([np.empty((0, self.dim), np.float32), *blocks])

    def _run(self, pictures: NDArray[np.uint8]) -> Vectors:
        n, fixed = len(pictures), self._input.shape[0]
        if fixed:  # the model takes just so many
            pictures = np.concatenate([pictures, np.zeros((fixed - n, *pictures.shape[1:]), np.uint8)])
        fed = self.preprocess.standardise(pictures, self._input.dtype)
        (found,) = self._session.run([self._output], {self._input.name: fed})
        vectors = self._pooled(np.asarray(found), len(pictures))[:n]
        if not self.preprocess.normalise:
            return vectors
        norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return np.asarray(vectors / norms, np.float32)

    def _pooled(self, found: NDArray[Any], n: int) -> Vectors:
        if found.ndim not in (2, 4) or len(found) != n:
            others = ", ".join(f"{output.name} {output.shape}" for output in self._session.get_outputs())
            raise ModelError(
                f"{self.path}: output {self._output} is {found.shape} for {n} pictures, and an embedding is (n, d) or "
                f'(n, d, h, w); name another as "output" in {self.path.with_suffix(".json").name}: {others}'
            )
        vectors: Vectors = found.astype(np.float32)
        return vectors if found.ndim == 2 else np.asarray(vectors.mean(SPATIAL_AXES[self.preprocess.layout]))


def _fingerprint(path: Path, recipe: Recipe) -> str:
    """16 hex digits of the file, of weights kept beside it, and of the preprocessing.

    Weights are in `NAME.onnx.data` or `NAME.onnx_data`, or wherever the graph says.
    """
    digest = hashlib.sha256(json.dumps(recipe.to_dict(), sort_keys=True).encode())
    usual = sorted(path.parent.glob(f"{escape(path.name)}?data"))
    for part in (path, *usual, *(other for other in weight_files(path) if other not in usual)):
        digest.update(bytes.fromhex(sha256_of(part)))
    return digest.hexdigest()[:16]
