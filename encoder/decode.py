"""Safe decoding: any supported image file -> an upright 8-bit RGB picture, or an `ImageError`."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from twinpix.encoder.door import elsewhere
from twinpix.encoder.errors import ImageError, InputError

ImageLike = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]

MAX_PIXELS = 50_000_000  # decoded pixels; 50 MP of RGBA is 200 MB
MAX_REDUCED_JPEG_PIXELS = 175_000_000  # a baseline JPEG decoded at reduced scale never holds them all
MAX_SIDE = 1_000_000  # px; a picture of one column costs its decoder more for a row than for its pixels
IN_MEMORY = 64 << 20  # bytes; larger files are decoded off the disk
STRIP = 1 << 20  # pixels that are converted at a time
DEPTHS = (8, 10, 12, 16)  # bits that files of 16 hold; of 14 as of 16: a dark photo of 16 looks the same
BACKDROP = (128, 128, 128)  # behind transparency: neither white nor black drawings vanish on it
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)
_KNOWN_BUT_UNSUPPORTED: tuple[tuple[bytes, str], ...] = (
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"IIRO", "Olympus RAW"),
    (b"FUJIFILMCCD-RAW", "Fujifilm RAW"),
    (b"II\x55\x00", "Panasonic RAW"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"v/1\x01", "OpenEXR"),
    *((b"P%d\n" % kind, "Netpbm (PPM, PGM, PBM, PAM)") for kind in range(1, 8)),
    *((b"\n%c\x01" % version, "PCX") for version in (0, 2, 3, 4, 5)),
    (b"PF\n", "PFM"),
    (b"Pf\n", "PFM"),
    (b"icns", "icns"),
    (b"%!PS", "PostScript (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (b"\x01\xda\x00\x01", "SGI"),
    (b"\x01\xda\x01\x01", "SGI"),
    (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_HEADER_BYTES = 64
_LAB_TO_RGB: list[ImageCms.ImageCmsTransform] = []


def sniff(header: bytes) -> str:
    """The image format that the first bytes announce.

    Args:
        header: the first 64 bytes of the file, or all of a shorter one.

    Raises:
        ImageError: `not_an_image`, or `unsupported_format` for image formats outside the allow-list.
    """
    for magic, name in _MAGIC:
        if header.startswith(magic) and not (name == "BMP" and not _is_bmp(header)):
            return name
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return "WEBP"
    if header[4:8] == b"ftyp":
        return _sniff_iso_media(header)
    for magic, label in _KNOWN_BUT_UNSUPPORTED:
        if header.startswith(magic):
            raise ImageError("unsupported_format", f"{label} is not supported: convert it to PNG or JPEG")
    raise ImageError("not_an_image", "not an image")


def _is_bmp(header: bytes) -> bool:
    # "BM" opens many a text file; the size of the info header follows at byte 14
    return len(header) >= 18 and int.from_bytes(header[14:18], "little") in (12, 16, 40, 52, 56, 64, 108, 124)


def _sniff_iso_media(header: bytes) -> str:
    brands = [header[i : i + 4] for i in (8, *range(16, len(header) - 3, 4))]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    if header[8:12] in _HEIF_BRANDS:
        return "HEIF"
    if header[8:12] == b"crx ":
        raise ImageError("unsupported_format", "Canon RAW is not supported: convert it to PNG or JPEG")
    raise ImageError("not_an_image", "a video or another ISO media file, not an image")


def read_picture(source: ImageLike, at_least: int | None = None, jpeg_at_least: int | None = None) -> Image.Image:
    """Whatever can be turned into a picture -> upright RGB.

    Args:
        source: path, bytes of a file, Pillow image or uint8 array (height, width[, 1|3|4]).
        at_least, jpeg_at_least: px; as in `decode`. A picture in memory is no JPEG.

    Raises:
        ImageError: it can't be used.
        InputError: an array of another type or shape, or an object that is no image.
    """
    if isinstance(source, Image.Image):
        return upright(source, at_least)
    if isinstance(source, np.ndarray):
        return upright(_from_array(source), at_least)
    file, decoder = as_file(source), elsewhere()
    if decoder is None:
        return decode(file, at_least, jpeg_at_least=jpeg_at_least)
    return decoder.decode(file, at_least, jpeg_at_least)


def as_file(source: str | os.PathLike[str] | bytes) -> str | bytes:
    """A path as text, or the bytes of a file.

    Raises:
        InputError: it is neither.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if not isinstance(source, (str, os.PathLike)):
        kind = type(source).__name__
        raise InputError(f"an image is a path, the bytes of a file, a Pillow image or a uint8 array, not {kind}")
    return os.fspath(source)


def _from_array(array: NDArray[np.uint8]) -> Image.Image:
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if array.dtype != np.uint8 or channels not in (1, 3, 4) or 0 in array.shape:
        raise InputError(f"an image array is uint8 (height, width[, 1|3|4]), not {array.dtype} {array.shape}")
    return Image.fromarray(array[..., 0] if array.ndim == 3 and channels == 1 else array)


def decode(
    source: str | Path | bytes,
    at_least: int | None = None,
    max_pixels: int = MAX_PIXELS,
    begun: Callable[[], object] = lambda: None,
    jpeg_at_least: int | None = None,
) -> Image.Image:
    """Read one image, first frame, upright, alpha composited on mid grey.

    Args:
        source: a path, or the bytes of an image file.
        at_least: px; the picture may come back at 1/2, 1/4 or 1/8 scale as long as both sides keep at
            least twice this many pixels. Every format is reduced by the same factor (JPEG inside its
            decoder, which is where the time is saved), so that copies in different formats still agree.
        max_pixels: what a file may decode to; more is refused from the header alone.
        begun: called once the file is read and decoding begins.
        jpeg_at_least: px; the same for JPEG, where less is decoded in less time. As for the others by default.

    Returns:
        A Pillow image of mode RGB.

    Raises:
        ImageError: always with a `reason` code and a one-line message, whatever the file contains.
    """
    name = "the image" if isinstance(source, bytes) else str(source)
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else _read(source) as file:
            begun()
            return _decode_stream(file, at_least, max_pixels, jpeg_at_least)
    except ImageError as error:
        raise ImageError(error.reason, f"{name}: {error}") from None
    except FileNotFoundError:
        raise ImageError("vanished", f"{name}: no such file") from None
    except IsADirectoryError:
        raise ImageError("not_an_image", f"{name}: is a folder, not an image file") from None
    except PermissionError:
        raise ImageError("permission_denied", f"{name}: no permission to read it") from None
    except MemoryError:
        raise ImageError("out_of_memory", f"{name}: not enough memory to decode it") from None
    except Exception as error:  # Pillow's plugins raise whatever a broken file makes them stumble on
        raise _damaged(name, error) from None


def _read(path: str | Path) -> IO[bytes]:
    # at once, so that a slow disk and a slow decoder are told apart; what is no image is not read
    file = _open_regular(path)
    if os.fstat(file.fileno()).st_size > IN_MEMORY:
        return file
    with file:
        sniff(_header(file))
        return io.BytesIO(file.read())


def _header(file: IO[bytes]) -> bytes:
    header = file.read(_HEADER_BYTES)
    if not header:
        raise ImageError("empty_file", "the file is empty")
    file.seek(0)
    return header


def _open_regular(path: str | Path) -> IO[bytes]:
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe would wait for a writer
        raise ImageError("not_an_image", "not a regular file")
    return open(path, "rb")


def _damaged(name: str, error: Exception) -> ImageError:
    detail = " ".join(str(error).split())[:200] or type(error).__name__
    return ImageError("corrupt", f"{name}: damaged or truncated ({detail})")


def open_image(file: IO[bytes]) -> Image.Image:
    """An image file read as far as its header: format, size, metadata. Its pixels are not decoded yet.

    Raises:
        ImageError: not an image, or not a supported one.
    """
    kind = sniff(_header(file))
    if kind == "HEIF":
        _register_heif()
    return _open(file, kind)


def _decode_stream(
    file: IO[bytes], at_least: int | None, max_pixels: int, jpeg_at_least: int | None = None
) -> Image.Image:
    return _turned(*_decode_as_stored(file, at_least, max_pixels, jpeg_at_least))


def _decode_as_stored(
    file: IO[bytes], at_least: int | None, max_pixels: int, jpeg_at_least: int | None
) -> tuple[Image.Image, Image.Transpose | None]:
    with open_image(file) as image:
        is_jpeg = image.format in ("JPEG", "MPO")
        factor = _shrink_factor(image.size, jpeg_at_least or at_least if is_jpeg else at_least)
        refuse_bombs(image, factor, max_pixels)
        if is_jpeg and factor > 1:
            width = image.width
            image.draft(None, (image.width // factor, image.height // factor))
            factor //= round(width / image.width)
        return _finish(image, factor)


def _finish(image: Image.Image, factor: int) -> tuple[Image.Image, Image.Transpose | None]:
    image.load()
    orientation = _orientation(image)  # after loading: Pillow turns a TIFF itself, and then drops the tag
    return to_rgb(image, factor), orientation


def _turned(picture: Image.Image, orientation: Image.Transpose | None) -> Image.Image:
    return picture if orientation is None else picture.transpose(orientation)


def _open(file: IO[bytes], kind: str) -> Image.Image:
    try:
        return Image.open(file, formats=(kind,))
    except Image.DecompressionBombError:
        raise ImageError("too_large", "more pixels than the safety limit allows") from None
    except UnidentifiedImageError:
        raise ImageError("corrupt", f"damaged or truncated (not a readable {kind})") from None


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError:
        raise ImageError("needs_heif", "HEIC needs the extra: pip install 'twinpix[heif]'") from None
    pillow_heif.register_heif_opener()


def refuse_bombs(image: Image.Image, factor: int = 1, max_pixels: int = MAX_PIXELS) -> None:
    """Raises ImageError for an opened image without pixels, or with too many; none is decoded."""
    if image.width < 1 or image.height < 1:
        raise ImageError("corrupt", "has no pixels")
    if max(image.size) > MAX_SIDE:
        raise ImageError("too_large", f"{image.width}x{image.height} px: no side may be longer than {MAX_SIDE:,} px")
    reduced = image.format in ("JPEG", "MPO") and factor > 1 and not image.info.get("progressive")
    limit = max(max_pixels, MAX_REDUCED_JPEG_PIXELS) if reduced else max_pixels
    if image.width * image.height > limit:
        raise ImageError(
            "too_large", f"{image.width}x{image.height} px is over the safety limit of {limit / 1e6:.0f} megapixels"
        )


def _shrink_factor(size: tuple[int, int], at_least: int | None) -> int:
    if at_least is None:
        return 1
    return next(k for k in (8, 4, 2, 1) if k == 1 or min(size) // k >= 2 * at_least)


def _orientation(image: Image.Image) -> Image.Transpose | None:
    try:
        tag = image.getexif().get(0x0112, 1)
    except Exception:  # damaged EXIF does not make the picture unreadable
        return None
    return _TRANSPOSE.get(tag) if isinstance(tag, int) else None


_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_rgb(image: Image.Image, factor: int = 1) -> Image.Image:
    """Any Pillow mode -> RGB: alpha composited on mid grey, 16 bits and floats scaled to 8, LAB converted.

    Args:
        factor: reduced by it afterwards.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return _reduced(image, factor)
    convert, (width, height) = _way_to_rgb(image), image.size
    rows = max(1, STRIP // (factor * width)) * factor
    if rows >= height:
        return _reduced(convert(image), factor)
    # strip by strip: on the way, a pixel takes up to 16 bytes
    whole = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, rows):
        strip = convert(image.crop((0, top, width, min(top + rows, height))))
        whole.paste(_reduced(strip, factor), (0, top // factor))
    return whole


def _reduced(picture: Image.Image, factor: int) -> Image.Image:
    return picture.reduce(factor) if factor > 1 else picture


def _way_to_rgb(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        extremes = _extremes(image)
        return lambda part: _high_depth_to_rgb(part, extremes)
    if image.mode == "LAB":
        return _lab_to_rgb
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _over_backdrop
    return lambda part: part.convert("RGB")


def _over_backdrop(image: Image.Image) -> Image.Image:
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    backdrop = Image.new("RGBA", rgba.size, (*BACKDROP, 255))
    return Image.alpha_composite(backdrop, rgba).convert("RGB")


def _levels(image: Image.Image) -> NDArray[np.float32]:
    return np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _extremes(image: Image.Image) -> tuple[np.float32, np.float32]:
    """The lowest and the highest level."""
    rows = max(1, STRIP // image.width)
    boxes = [(0, top, image.width, min(top + rows, image.height)) for top in range(0, image.height, rows)]
    parts = [(levels.min(), levels.max()) for levels in (_levels(image.crop(box)) for box in boxes)]
    return min(low for low, _ in parts), max(high for _, high in parts)


def _high_depth_to_rgb(image: Image.Image, extremes: tuple[np.float32, np.float32]) -> Image.Image:
    levels, (low, high) = _levels(image), extremes
    if image.mode.startswith("I;16"):
        levels = levels * (255.0 / (2 ** _depth(high) - 1))
    elif high > 255 or high <= 1 or low < 0:
        levels = (levels - low) * (255.0 / max(float(high - low), 1e-12))
    return Image.fromarray(np.rint(levels).clip(0, 255).astype(np.uint8)).convert("RGB")


def _depth(high: np.float32) -> int:
    # bits that are used: microscopes and depth cameras keep 8, 10 or 12 in files of 16, which would all be black
    return next(bits for bits in DEPTHS if high < 2**bits)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    if not _LAB_TO_RGB:
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        _LAB_TO_RGB.append(ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
    converted = ImageCms.applyTransform(image, _LAB_TO_RGB[0])
    assert converted is not None  # only in-place transforms return None
    return converted


def upright(image: Image.Image, at_least: int | None = None) -> Image.Image:
    """A picture that is already open (Pillow) -> upright RGB, the same as reading its file.

    Args:
        image: of any mode; it is left as it is.
        at_least: px; as in `decode`, so that a picture in memory agrees with its file.

    Raises:
        ImageError: it has no pixels, or its file turns out to be damaged.
    """
    if 0 in image.size:
        raise ImageError("corrupt", "the image: has no pixels")
    try:
        return _turned(*_finish(image, _shrink_factor(image.size, at_least)))
    except Exception as error:  # an image that was opened but not loaded fails only now
        raise _damaged("the image", error) from None
