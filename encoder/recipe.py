"""What an image model made elsewhere wants to be fed: read off its input, a preset, and what the user says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from twinpix.encoder.errors import ModelError
from twinpix.encoder.preprocess import FILTERS, Preprocess

BYTE = 1 / 255
PRESETS: dict[str, dict[str, Any]] = {
    # torchvision's ResNet, EfficientNet ...: shorter side to 256 px, the middle 224 px of it
    "imagenet": {
        "size": 224,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "fit": "crop",
        "crop_pct": 0.875,
    },
    # OpenAI's CLIP, open_clip
    "clip": {
        "size": 224,
        "mean": (0.48145466, 0.4578275, 0.40821073),
        "std": (0.26862954, 0.26130258, 0.27577711),
        "interpolation": "bicubic",
        "fit": "crop",
    },
}
CHANNEL_AXIS = {"NCHW": 1, "NHWC": 3}
DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


@dataclass(frozen=True)
class Recipe(Preprocess):
    """How a picture becomes the input of a model made elsewhere, and its output an embedding.

    Attributes:
        size: px, height of the input.
        interpolation: as in `Preprocess`.
        width: px; as the height, where it is None.
        fit: `squeeze` the whole picture into the input, or `crop` the largest part of its shape from the middle.
        crop_pct: of the sides of that part, the share that is kept, 0..1 (timm's name for it).
        scale, mean, std: a channel of levels 0..255 becomes `(levels * scale - mean) / std`; RGB.
        layout: `NCHW` or `NHWC`.
        output: the output to take; the first, where it is None.
        normalise: scale embeddings to L2 norm 1.
    """

    width: int | None = None
    fit: str = "squeeze"
    crop_pct: float = 1.0
    scale: float = BYTE
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    layout: str = "NCHW"
    output: str | None = None
    normalise: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError or TypeError for values that make no sense."""
        super().__post_init__()
        if self.columns < 1:
            raise ValueError(f"width {self.width}")
        if self.fit not in ("squeeze", "crop") or not 0 < self.crop_pct <= 1:
            raise ValueError(f"fit {self.fit!r} (squeeze or crop), crop_pct {self.crop_pct} (0 to 1)")
        if self.layout not in CHANNEL_AXIS:
            raise ValueError(f"layout {self.layout!r} (NCHW or NHWC)")
        if len(self.mean) != 3 or len(self.std) != 3 or not min(self.std) > 0:
            raise ValueError(f"mean {self.mean}, std {self.std} (three numbers each)")

    @property
    def columns(self) -> int:
        """Width of the input, px."""
        return self.size if self.width is None else self.width

    def __call__(self, picture: Image.Image) -> NDArray[np.uint8]:
        """RGB picture -> uint8 (3, height, width)."""
        shape, kind = (self.columns, self.size), FILTERS[self.interpolation]
        if self.fit == "crop":
            fitted = ImageOps.fit(picture, shape, kind, bleed=(1 - self.crop_pct) / 2)
        else:
            fitted = picture.resize(shape, kind)
        return np.ascontiguousarray(np.asarray(fitted).transpose(2, 0, 1))

    def standardise(self, pictures: NDArray[np.uint8], dtype: str) -> NDArray[Any]:
        """uint8 (n, 3, height, width) -> the model's input, in its layout and type."""
        fed: NDArray[Any] = pictures
        if dtype != "uint8":
            mean, std = (np.array(v, np.float32)[:, None, None] for v in (self.mean, self.std))
            fed = ((pictures * np.float32(self.scale) - mean) / std).astype(dtype)
        return fed if self.layout == "NCHW" else np.ascontiguousarray(fed.transpose(0, 2, 3, 1))


IDLE = {"despeckle", "reducing_gap"}  # of `Preprocess`; a `Recipe` does neither
SETTINGS = ("preset", *(field.name for field in fields(Recipe) if field.name not in IDLE))


@dataclass(frozen=True)
class ImageInput:
    """The input of a model.

    Attributes:
        name: as the model has it.
        dtype: float32, float16 or uint8.
        shape: of four axes; None where any length will do.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} ({', '.join('?' if n is None else str(n) for n in self.shape)})"


def image_input(session: Any) -> ImageInput:
    """The one image input of a model that ONNX Runtime opened.

    Raises:
        ModelError: it has several, or no image goes in.
    """
    inputs = session.get_inputs()
    found = [
        ImageInput(i.name, DTYPES.get(i.type, i.type), tuple(n if isinstance(n, int) else None for n in i.shape))
        for i in inputs
    ]
    listed = "; ".join(map(str, found))
    if len(found) != 1:
        raise ModelError(f"takes {len(found)} inputs ({listed}); only a model of one image input is an encoder")
    (only,) = found
    if only.dtype not in DTYPES.values() or len(only.shape) != 4:
        raise ModelError(f"takes no image ({listed}); needs float32, float16 or uint8 of four axes")
    return only


def find_recipe(path: Path, source: ImageInput, given: Mapping[str, Any]) -> Recipe:
    """Preprocessing of a model: preset, then what its input says, then `NAME.json` beside it, then `given`.

    Raises:
        ModelError: something is missing or doesn't fit the input; the message says what to write where.
    """
    sidecar = path.with_suffix(".json")
    settings = {**_read_sidecar(sidecar), **given}
    _check_known(path, settings)
    preset = settings.pop("preset", None)
    if preset is not None and preset not in PRESETS:
        raise ModelError(f"{path}: no preset {preset!r}: there are {', '.join(PRESETS)}")
    if source.dtype != "uint8" and preset is None and not settings.keys() & {"mean", "std", "scale"}:
        raise ModelError(
            f"{path}: made elsewhere, and its input ({source}) does not say how levels are scaled: write into "
            f'{sidecar.name} beside it {{"preset": "imagenet"}}, {{"preset": "clip"}}, or "mean" and "std"'
        )
    merged = {**PRESETS.get(preset, {}), **_from_shape(path, source, settings), **settings}
    if "size" not in merged:
        raise ModelError(f'{path}: its input ({source}) takes any size: write "size" (px) into {sidecar.name}')
    arguments: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in merged.items()}
    try:
        return Recipe(**arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: preprocessing that can't be used ({error}); settings are {', '.join(SETTINGS)}"
        ) from None


def _check_known(path: Path, settings: Mapping[str, Any]) -> None:
    if unknown := [repr(key) for key in settings if key not in SETTINGS]:
        raise ModelError(f"{path}: unknown setting {', '.join(unknown)}; settings are {', '.join(SETTINGS)}")


def _read_sidecar(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: not a JSON object of preprocessing ({error})") from None


def _from_shape(path: Path, source: ImageInput, settings: Mapping[str, Any]) -> dict[str, Any]:
    open_axes = [name for name, axis in CHANNEL_AXIS.items() if source.shape[axis] in (3, None)]
    fitting = sorted(open_axes, key=lambda name: source.shape[CHANNEL_AXIS[name]] != 3)  # three channels stated first
    layout = settings.get("layout", fitting[0] if fitting else None)
    if layout not in fitting:
        raise ModelError(f"{path}: its input ({source}) is no RGB image{f' in {layout}' if layout else ''}")
    sides = source.shape[2:] if layout == "NCHW" else source.shape[1:3]
    found = {"layout": layout, **{key: n for key, n in zip(("size", "width"), sides, strict=True) if n is not None}}
    wrong = [key for key in found if settings.get(key, found[key]) != found[key]]
    if wrong:
        raise ModelError(f"{path}: its input ({source}) does not fit {wrong[0]} {settings[wrong[0]]}")
    return found
