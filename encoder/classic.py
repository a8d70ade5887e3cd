"""Classic ways to describe a picture, as encoders: perceptual hashes, and the pixels themselves.

A hash is a vector of bits 0 and 1, so the squared L2 distance of two is their Hamming distance.

Flat pictures (blank, one colour) carry next to no information, and none of these methods says so. aHash, dHash, pHash
and wHash give every flat picture the same bits, whatever its colour: all of them are duplicates of one another. PDQ's
bits are then rounding noise: flat pictures of two greys may lie far apart, equal ones don't. The colour hash tells the
colours of flat pictures apart as far as its 14 bins go. Euclidean distance and SSIM compare the levels and so do well;
cosine ignores brightness: all greys are one picture, but for black, which has no direction and equals black alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.decode import ImageLike, read_picture
from twinpix.encoder.errors import MissingPackageError, ModelError
from twinpix.encoder.protocol import Vectors

Describe = Callable[[Image.Image], NDArray[Any]]
AT_LEAST = 256  # px; larger pictures may be decoded at reduced scale: 512 px are plenty for 64 x 64 samples
SIDE = 32  # px; of the pictures whose pixels are compared
ORIENTATIONS = 8


@dataclass(frozen=True)
class ClassicEncoder:
    """A description without anything learnt. An `Encoder`; its attributes are those of the protocol.

    Attributes:
        describe: upright RGB picture -> numbers (dim,).
    """

    name: str
    dim: int
    max_distance: float
    describe: Describe

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the name: what a name stands for does not change."""
        return hashlib.sha256(f"classic {self.name} {self.dim}".encode()).hexdigest()[:16]

    @property
    def is_calibrated(self) -> bool:
        """No: nobody measured what its distances mean."""
        return False

    @property
    def calibration(self) -> Calibration:
        """Raises ModelError: there is none."""
        raise ModelError(f"{self.name}: not calibrated: pass a threshold")

    def prepare(self, source: ImageLike) -> NDArray[Any]:
        """Decode one image and describe it: (dim,).

        Raises:
            ImageError: the image can't be used; `.reason` says why.
        """
        return self.describe(read_picture(source, at_least=AT_LEAST))

    def encode(self, pictures: NDArray[Any]) -> Vectors:
        """Prepared images (n, dim) -> float32 (n, dim): all the work is done."""
        return np.asarray(pictures, np.float32).reshape(-1, self.dim)


def _bits(name: str, dim: int, describe: Describe) -> ClassicEncoder:
    return ClassicEncoder(name, dim, dim**0.5, describe)


def ahash() -> ClassicEncoder:
    """Average hash, 64 bits: is a sample of 8x8 brighter than their mean? (Krawetz 2011; imagehash.)"""
    hashing = _import_imagehash()
    return _bits("ahash", 64, lambda picture: hashing.average_hash(picture).hash.ravel())


def phash() -> ClassicEncoder:
    """Perceptual hash, 64 bits: signs of low DCT frequencies about their median (Krawetz 2011; imagehash)."""
    hashing = _import_imagehash()
    return _bits("phash", 64, lambda picture: hashing.phash(picture).hash.ravel())


def dhash() -> ClassicEncoder:
    """Difference hash, 64 bits: is a sample brighter than its left neighbour? (Krawetz 2013; imagehash.)"""
    hashing = _import_imagehash()
    return _bits("dhash", 64, lambda picture: hashing.dhash(picture).hash.ravel())


def whash() -> ClassicEncoder:
    """Wavelet hash, 64 bits: Haar approximation about its median, mean removed (Petrov 2016; imagehash)."""
    hashing = _import_imagehash()
    return _bits("whash", 64, lambda picture: hashing.whash(picture).hash.ravel())


def colorhash() -> ClassicEncoder:
    """Colour hash, 42 bits: how much black, grey, faint and bright colours, 3 bits a bin (imagehash)."""
    hashing = _import_imagehash()
    return _bits("colorhash", 42, lambda picture: hashing.colorhash(picture).hash.ravel())


def pdq() -> ClassicEncoder:
    """PDQ, 256 bits: signs of 16x16 DCT frequencies about their median (Facebook 2019; pdqhash)."""
    hashing = _import_pdqhash()
    return _bits("pdq", 256, lambda picture: hashing.compute(np.asarray(picture))[0])


def pdq8() -> ClassicEncoder:
    """PDQ of the picture turned and mirrored in all 8 ways, as it is first: 8 x 256 bits.

    L2 of two whole vectors is not its distance: the nearest of the orientations counts.
    """
    hashing = _import_pdqhash()
    return _bits(
        "pdq8",
        ORIENTATIONS * 256,
        lambda picture: np.concatenate(hashing.compute_dihedral(np.asarray(picture))[0]),
    )


def pixels() -> ClassicEncoder:
    """The picture squeezed to 32x32 RGB, levels 0..1: float32 (3072,)."""
    dim = 3 * SIDE * SIDE
    return ClassicEncoder("euclidean", dim, dim**0.5, _levels)


def directions() -> ClassicEncoder:
    """The same pixels at norm 1, so that L2 distance ranks as cosine similarity does: float32 (3073,).

    The last value is 1 for a black picture, which has no direction, else 0.
    """
    return ClassicEncoder("cosine", 3 * SIDE * SIDE + 1, 2**0.5, _direction)


def luma() -> ClassicEncoder:
    """The picture squeezed to 32x32 grey levels, 0..1, for SSIM: float32 (1024,)."""
    return ClassicEncoder("ssim", SIDE * SIDE, float(SIDE), _luma)


def _levels(picture: Image.Image) -> NDArray[np.float32]:
    squeezed = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(squeezed, np.float32).ravel() / np.float32(255)


def _direction(picture: Image.Image) -> NDArray[np.float32]:
    levels = _levels(picture)
    norm = float(np.linalg.norm(levels))
    return np.append(levels / (norm or 1), norm == 0).astype(np.float32)


def _luma(picture: Image.Image) -> NDArray[np.float32]:
    squeezed = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(squeezed, np.float32).ravel() / np.float32(255)


def _import_imagehash() -> Any:
    try:
        import imagehash
    except ImportError:
        raise MissingPackageError("imagehash is not installed: pip install 'twinpix[bench]'") from None
    return imagehash


def _import_pdqhash() -> Any:
    try:
        import pdqhash
    except ImportError:
        raise MissingPackageError("pdqhash is not installed: pip install 'twinpix[pdq]'") from None
    return pdqhash
