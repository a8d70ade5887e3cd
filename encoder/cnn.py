"""EfficientNet-B0 features (Tan & Le 2019), the classic CNN baseline. Needs torchvision; nothing is downloaded."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.decode import ImageLike, read_picture
from twinpix.encoder.errors import MissingPackageError, ModelError
from twinpix.encoder.protocol import Vectors

SIDE = 224  # px
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision's weights expect
RANDOM = "random weights"
BATCH = 4  # larger activations cost more in page faults than they win
SETTLING = (1, 3, 8, 24, 72, 224)  # px


class CnnEncoder:
    """Pictures -> the 1,280 averaged features before the classifier. An `Encoder`; safe to share between threads.

    Args:
        weights: torchvision's EfficientNet-B0 as a `.pth` or `.safetensors` file; random ones (seed 0) without it,
            and then the name says so.
        unit: scale features to norm 1, so that L2 distance ranks as cosine similarity does.

    Raises:
        MissingPackageError: torch or torchvision is not installed.
        ModelError: the file can't be read, or holds another network.
    """

    dim = 1280
    is_calibrated = False

    def __init__(self, name: str, weights: str | os.PathLike[str] | None = None, unit: bool = False) -> None:
        self._torch, network = _import_network()
        self.name = name if weights else f"{name} ({RANDOM})"
        self.max_distance = 2.0 if unit else float("inf")
        self._unit = unit
        if weights is None:
            self._network, digest = _random_network()
        else:
            self._network = _without_classifier(self._torch, network())
            _load(self._network, Path(weights))
            digest = _digest(self._network)
        self.fingerprint = hashlib.sha256(self.name.encode() + digest).hexdigest()[:16]
        self._network.eval()

    @property
    def calibration(self) -> Calibration:
        """Raises ModelError: there is none."""
        raise ModelError(f"{self.name}: not calibrated: pass a threshold")

    def prepare(self, source: ImageLike) -> NDArray[np.uint8]:
        """Decode and squeeze one image -> uint8 (3, 224, 224).

        Raises:
            ImageError: the image can't be used; `.reason` says why.
        """
        picture = read_picture(source, at_least=SIDE).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))

    def encode(self, pictures: NDArray[np.uint8]) -> Vectors:
        """Prepared pictures, uint8 (n, 3, 224, 224) -> float32 (n, 1280)."""
        blocks = [self._features(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
        features = np.concatenate([np.empty((0, self.dim), np.float32), *blocks])
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        return features / np.maximum(norms, 1e-12) if self._unit else features

    def _features(self, pictures: NDArray[np.uint8]) -> Vectors:
        mean, std = (np.array(v, np.float32)[:, None, None] for v in (MEAN, STD))
        with self._torch.inference_mode():
            standardised = self._torch.from_numpy((pictures / np.float32(255) - mean) / std)
            return np.asarray(self._network(standardised).numpy(), np.float32)


def _import_network() -> tuple[Any, Any]:
    try:
        import torch

        return torch, _import_efficientnet(torch)
    except ImportError:
        raise MissingPackageError("the CNN needs torch and torchvision: pip install 'twinpix[train]'") from None
    except RuntimeError as error:
        raise MissingPackageError(
            f"torchvision does not fit the installed torch: pip install 'twinpix[train]' ({_one_line(error)})"
        ) from None


def _import_efficientnet(torch: Any) -> Any:
    try:
        from torchvision.models import efficientnet_b0
    except RuntimeError:
        # The registry's torchvision beside a CPU build of torch: its compiled operators don't load, and its import
        # stumbles over their absence. This network needs none of them, so their names will do.
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float limit) -> Tensor")
        from torchvision.models import efficientnet_b0
    return efficientnet_b0


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


def _settle(torch: Any, network: Any) -> None:
    # batch norms that never saw a picture let the signal die away over 80 layers: show them coloured noise once,
    # coarse and fine, as pictures are
    grow = torch.nn.functional.interpolate
    noise = sum(grow(torch.randn(16, 3, side, side), size=(SIDE, SIDE), mode="bicubic") for side in SETTLING)
    network.eval()  # nothing is dropped
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.train()
            layer.momentum = 1.0  # takes over the statistics of that one batch
    with torch.no_grad():
        network(noise / len(SETTLING) ** 0.5)


def _load(network: Any, path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"{path}: no such file of weights")
    try:
        kept = {key: value for key, value in _read(path).items() if not key.startswith("classifier.")}
        network.load_state_dict(kept)
    except MissingPackageError:
        raise
    except Exception as error:  # torch's unpickler raises whatever a strange file makes it stumble on
        raise ModelError(f"{path}: not the weights of torchvision's efficientnet_b0 ({_one_line(error)})") from None


def _read(path: Path) -> Any:
    if path.suffix != ".safetensors":
        import torch

        return torch.load(path, map_location="cpu", weights_only=True)  # never runs code from the file
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise MissingPackageError("safetensors is not installed: pip install 'twinpix[train]'") from None
    return load_file(path)


@cache
def _random_network() -> tuple[Any, bytes]:
    # two metrics share it, and it takes seconds
    torch, network = _import_network()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = _without_classifier(torch, network())
        digest = _digest(made)
        _settle(torch, made)
    return made, digest


def _without_classifier(torch: Any, network: Any) -> Any:
    network.classifier = torch.nn.Identity()
    return network


def _digest(network: Any) -> bytes:
    digest = hashlib.sha256()
    for key, value in network.state_dict().items():
        digest.update(key.encode() + value.numpy().tobytes())
    return digest.digest()
