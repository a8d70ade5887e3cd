"""Edits of whole batches in torch, on any device; what each one means is albumentations' definition of it.

Every function is pure: float32 (n, 3, h, w) in levels 0..255 and one parameter per picture in, the same
kind of tensor out. `batched.py` draws the parameters. Unlike albumentations, levels stay fractions from one
edit to the next; they are rounded once, at the end (and before compression).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
JPEG_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)  # ITU-T T.81, table K.1
JPEG_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8 for _ in range(4)),
)  # table K.2
YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))  # JFIF 1.02


def column(values: Tensor) -> Tensor:
    """(n,) -> (n, 1, 1, 1), to multiply pictures by."""
    return values.view(-1, 1, 1, 1)


# Geometry. Coordinates run from -1 to 1 between the outer edges of a picture, x right, y down.


def linear_map(rows: Sequence[Sequence[Tensor | float]], n: int) -> Tensor:
    """Rows of numbers or of float32 (n,) -> float32 (n, 2, 3), n affine maps."""
    cells = [[torch.as_tensor(cell, dtype=torch.float32).expand(n) for cell in row] for row in rows]
    return torch.stack([torch.stack(row, 1) for row in cells], 1)


def chain(outer: Tensor, inner: Tensor) -> Tensor:
    """Affine maps (n, 2, 3): `inner` first, then `outer`."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    return torch.cat([linear, outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]], 2)


def rotation_map(degrees: Tensor, shear_x: Tensor, shear_y: Tensor) -> Tensor:
    """Where a rotated, then sheared picture finds its pixels; the senses are those of `albumentations.Affine`.

    Args:
        degrees: (n,), counterclockwise.
        shear_x, shear_y: (n,), degrees, as in `create_affine_transformation_matrix`.

    Returns:
        (n, 2, 3): edited picture's coordinates -> the original's.
    """
    cos, sin = torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))
    x, y = torch.tan(torch.deg2rad(shear_x)), torch.tan(torch.deg2rad(shear_y))
    n, det = len(degrees), 1 - x * y
    unrotate = linear_map([[cos, -sin, 0.0], [sin, cos, 0.0]], n)
    unshear = linear_map([[1 / det, -x / det, 0.0], [-y / det, 1 / det, 0.0]], n)
    return chain(unrotate, unshear)


def flip_map(flip: Tensor) -> Tensor:
    """bool (n,) -> (n, 2, 3), mirrored left to right where true."""
    return linear_map([[1 - 2 * flip.float(), 0.0, 0.0], [0.0, 1.0, 0.0]], len(flip))


def crop_map(crop: Tensor) -> Tensor:
    """Crop (n, 4) = (left, top, width, height), shares of the picture 0..1 -> (n, 2, 3), view -> picture."""
    left, top, width, height = crop.unbind(1)
    return linear_map([[width, 0.0, 2 * left + width - 1], [0.0, height, 2 * top + height - 1]], len(crop))


def warp(pictures: Tensor, box: Tensor, source: Tensor, px: int, samples: int = 2) -> Tensor:
    """Put the part of the picture that `source` points to into `box` of a px x px view, by one grid_sample.

    Against aliasing, every view pixel is the mean of `samples` x `samples` bilinear samples: 2 x 2 equal cv2's
    INTER_AREA at half size and leave no gaps between samples down to a quarter of the size.

    Args:
        pictures: float32 (n, 3, h, w).
        box: (n, 4) = (left, top, right, bottom), shares of the view, may reach outside it.
        source: (n, 2, 3), coordinates in the box (-1..1) -> in the picture; outside the picture is black.

    Returns:
        float32 (n, 3, px, px). Outside the box its edge goes on: see `coverage`.
    """
    at = (torch.arange(px * samples, device=pictures.device) + 0.5) / (px * samples)
    left, top, right, bottom = box.to(pictures.device).unbind(1)
    x = (2 * (at - left[:, None]) / (right - left)[:, None] - 1).clamp(-1, 1)[:, None, :]
    y = (2 * (at - top[:, None]) / (bottom - top)[:, None] - 1).clamp(-1, 1)[:, :, None]
    a = source.to(pictures.device)[..., None, None]
    grid = torch.stack([a[:, i, 0] * x + a[:, i, 1] * y + a[:, i, 2] for i in (0, 1)], 3)
    found = F.grid_sample(pictures, grid, "bilinear", "border", align_corners=False)
    inside = (grid.abs() <= 1 + 1e-4).all(3)[:, None]
    return F.avg_pool2d(found * inside, samples)


def coverage(box: Tensor, px: int) -> Tensor:
    """How much of each pixel the box covers.

    Args:
        box: (n, 4) = (left, top, right, bottom), shares of the view.

    Returns:
        float32 (n, 1, px, px), 0..1.
    """
    low = torch.arange(px, device=box.device)
    left, top, right, bottom = (px * box).unbind(1)
    x = (torch.minimum(low + 1, right[:, None]) - torch.maximum(low, left[:, None])).clamp(0, 1)
    y = (torch.minimum(low + 1, bottom[:, None]) - torch.maximum(low, top[:, None])).clamp(0, 1)
    return (y[:, :, None] * x[:, None, :])[:, None]


def blend(back: Tensor, front: Tensor, share: Tensor) -> Tensor:
    """`front` over `back`; share 0..1 is how much of the front one sees."""
    return back + share * (front - back)


def paste(back: Tensor, front: Tensor, box: Tensor, samples: int = 4) -> Tensor:
    """`front` (n, 3, h, w), squeezed into `box` (n, 4) of `back` (n, 3, px, px)."""
    whole = linear_map([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], len(box))
    px = back.shape[-1]
    return blend(back, warp(front, box, whole, px, samples), coverage(box, px))


def erase(x: Tensor, boxes: Tensor) -> Tensor:
    """Black boxes (n, holes, 4), shares of the view; a box of no width erases nothing."""
    for box in boxes.unbind(1):
        x = x * (1 - coverage(box, x.shape[-1]))
    return x


# Colour


def luma(x: Tensor) -> Tensor:
    """(n, 3, h, w) -> (n, 1, h, w), BT.601."""
    return (x * x.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Levels times factor (n,)."""
    return (x * column(factor)).clamp(0, 255)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Distance from the picture's mean luma, times factor (n,)."""
    return blend(luma(x).mean((2, 3), keepdim=True), x, column(factor)).clamp(0, 255)


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Distance from the pixel's luma, times factor (n,)."""
    return blend(luma(x), x, column(factor)).clamp(0, 255)


def hue(x: Tensor, turn: Tensor) -> Tensor:
    """HSV hue moved by `turn` (n,), in full circles."""
    value, chroma = x.amax(1), x.amax(1) - x.amin(1)
    red, green, blue = x.unbind(1)
    step = chroma.clamp(min=1e-6)
    sixth = torch.where(value == green, 2 + (blue - red) / step, 4 + (red - green) / step)
    sixth = torch.where(value == red, (green - blue) / step, sixth) + 6 * turn.view(-1, 1, 1)
    # Foley & van Dam's hexcone in closed form: each channel is `value` less its share of the chroma
    k = (sixth[:, None] + x.new_tensor([5, 3, 1]).view(1, 3, 1, 1)).remainder(6)
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)


def gamma(x: Tensor, power: Tensor) -> Tensor:
    """255 (x / 255) ** power (n,)."""
    return 255 * (x / 255).clamp(0, 1).pow(column(power))


def grey(x: Tensor) -> Tensor:
    """Luma in all three channels."""
    return luma(x).expand_as(x)


# Blur and noise


def gaussian_kernels(sigma: Tensor, radius: int) -> Tensor:
    """(n,) px -> (n, 2 radius + 1), each cut off at int(3.5 sigma) px as in albumentations, sum 1."""
    at = torch.arange(-radius, radius + 1, device=sigma.device)
    weights = torch.exp(-0.5 * (at / sigma[:, None]) ** 2) * (at.abs() <= (3.5 * sigma[:, None]).floor())
    return weights / weights.sum(1, keepdim=True)


def motion_kernels(size: Tensor, degrees: Tensor, direction: Tensor, shift: Tensor, widest: int = 7) -> Tensor:
    """Short lines, as `albumentations.MotionBlur` draws them.

    Args:
        size: int64 (n,), odd, px.
        degrees: (n,), of the line.
        direction: (n,), -1 only backwards .. 1 only forwards.
        shift: (n, 2), x and y, -1..1, how far off the centre the line lies.
        widest: side of the result, px.

    Returns:
        float32 (n, widest, widest), sum 1.
    """
    half = (size // 2).float()
    begin = -half * (1 - direction.clamp(min=0))
    end = half * (1 + direction.clamp(max=0))
    at = torch.minimum(torch.arange(widest, device=size.device)[None].float(), (size - 1)[:, None].float())
    along = begin[:, None] + (end - begin)[:, None] * at / (size - 1)[:, None]
    way = torch.stack([torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))], 1)
    points = way[:, :, None] * along[:, None] + shift[:, :, None] * half[:, None, None] / 2
    reach = half[:, None, None].expand_as(points)
    x, y = ((points.round().minimum(reach).maximum(-reach)).long() + widest // 2).unbind(1)
    kernels = torch.zeros(len(size), widest * widest, device=size.device).scatter_(1, y * widest + x, 1.0)
    return (kernels / kernels.sum(1, keepdim=True)).view(-1, widest, widest)


def convolve(x: Tensor, kernels: Tensor) -> Tensor:
    """Each picture with its own kernel (n, a, b), a and b odd, borders mirrored (cv2's BORDER_REFLECT_101)."""
    n, channels, height, width = x.shape
    tall, wide = kernels.shape[1:]
    padded = F.pad(x, (wide // 2, wide // 2, tall // 2, tall // 2), "reflect")
    weights = kernels.repeat_interleave(channels, 0)[:, None]
    return F.conv2d(padded.flatten(0, 1)[None], weights, groups=n * channels).view(n, channels, height, width)


def gaussian_blur(x: Tensor, sigma: Tensor, radius: int = 7) -> Tensor:
    """Sigma (n,) in px; radius 7 holds up to sigma 2.2 without a cut."""
    kernels = gaussian_kernels(sigma, radius)
    return convolve(convolve(x, kernels[:, None, :]), kernels[:, :, None])


def salt_and_pepper(x: Tensor, amount: Tensor, salt: Tensor, dice: Tensor) -> Tensor:
    """Some pixels become white or black.

    Args:
        amount: (n,), share of pixels, 0..1.
        salt: (n,), share of those that become white.
        dice: float32 (n, 1, h, w), uniform 0..1.
    """
    amount, salt = column(amount), column(salt)
    x = torch.where(dice < amount, 0.0, x)
    return torch.where(dice < amount * salt, 255.0, x)


def gaussian_noise(x: Tensor, sigma: Tensor, normal: Tensor) -> Tensor:
    """Standard normal (n, 3, h, w) times sigma (n,), in levels, is added."""
    return (x + column(sigma) * normal).clamp(0, 255)


# Compression


def jpeg(x: Tensor, quality: Tensor) -> Tensor:
    """What a baseline JPEG with 4:2:0 chroma leaves of the picture (libjpeg's tables and quality scale).

    Args:
        quality: (n,), 1..100.
    """
    height, width = x.shape[2:]
    x = F.pad(x.round(), (0, -width % 16, 0, -height % 16), "replicate")
    ycc = torch.einsum("rc,nchw->nrhw", x.new_tensor(YCBCR), x).round()
    tone = _quantise(ycc[:, :1] - 128, x.new_tensor(JPEG_LUMA), quality) + 128
    small = _quantise(F.avg_pool2d(ycc[:, 1:], 2).round(), x.new_tensor(JPEG_CHROMA), quality)
    chroma = F.interpolate(small.round(), scale_factor=2, mode="bilinear", align_corners=False)
    ycc = torch.cat([tone.clamp(0, 255), chroma.clamp(-128, 127)], 1).round()
    rgb = torch.einsum("rc,nchw->nrhw", torch.linalg.inv(torch.tensor(YCBCR)).to(x.device), ycc)
    return rgb[..., :height, :width].round().clamp(0, 255)


def _quantise(x: Tensor, table: Tensor, quality: Tensor) -> Tensor:
    # (n, c, h, w) -> 8x8 blocks -> cosine transform -> rounded to steps -> back
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).floor()
    steps = ((table * scale.view(-1, 1, 1) + 50) / 100).floor().clamp(1, 255)[:, None, None, :, None, :]
    n, channels, height, width = x.shape
    basis = _cosines().to(x.device)
    blocks = x.view(n, channels, height // 8, 8, width // 8, 8)
    waves = torch.einsum("ua,nciajb,vb->nciujv", basis, blocks, basis)
    waves = (waves / steps).round() * steps
    return torch.einsum("ua,nciujv,vb->nciajb", basis, waves, basis).reshape(n, channels, height, width)


def _cosines() -> Tensor:
    # the orthonormal DCT-II of 8 samples, float32 (8, 8)
    at = torch.arange(8)
    basis = torch.cos(math.pi * at[:, None] * (2 * at[None] + 1) / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis


# Captions


def caption_shape(
    px: int, text: str, where: tuple[int, int], font: int, scale: float, thickness: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """One line of text as uint8 (px, px), 255 where it covers a pixel; arguments as in cv2.putText."""
    canvas = np.zeros((px, px), np.uint8)
    cv2.putText(canvas, text, where, font, scale, 255, thickness, cv2.LINE_AA)
    return canvas


def caption(x: Tensor, shape: Tensor, colour: Tensor) -> Tensor:
    """Paint uint8 (n, h, w) `shape` onto the pictures in `colour` (n, 3), levels."""
    return blend(x, colour.view(-1, 3, 1, 1), shape[:, None] / 255)
