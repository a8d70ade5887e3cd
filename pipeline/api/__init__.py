"""twinpix: find the same picture twice.

    import twinpix
    encoder = twinpix.load_encoder()            # the shipped model, or a path to a .onnx
    v = encoder("a.jpg")                        # float32 (dim,), norm 1
    match = twinpix.compare("a.jpg", "b.jpg")   # .l2_distance .threshold .is_duplicate
    report = twinpix.find_duplicates("./dir")   # .groups .matches .skipped .threshold

Importing it loads no FAISS, no ONNX Runtime and no torch; the first use does.
"""

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.errors import (
    FingerprintError,
    ImageError,
    InputError,
    MissingPackageError,
    ModelError,
    TwinpixError,
)
from twinpix.encoder.onnx import ImageLike, OnnxEncoder, load_encoder
from twinpix.encoder.preprocess import Preprocess
from twinpix.encoder.protocol import Encoder
from twinpix.pipeline.duplicates import compare, find_duplicates, group_duplicates
from twinpix.pipeline.report import Embeddings, Group, Match, Report, Skipped
from twinpix.pipeline.stream import encode_images
from twinpix.pipeline.verify import Outcome

__all__ = [
    "Calibration",
    "Embeddings",
    "Encoder",
    "FingerprintError",
    "Group",
    "ImageError",
    "ImageLike",
    "InputError",
    "Match",
    "MissingPackageError",
    "ModelError",
    "OnnxEncoder",
    "Outcome",
    "Preprocess",
    "Report",
    "Skipped",
    "TwinpixError",
    "compare",
    "encode_images",
    "find_duplicates",
    "group_duplicates",
    "load_encoder",
]
