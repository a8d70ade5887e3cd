"""twinpix: find the same picture twice.

    import twinpix
    encoder = twinpix.load_encoder()            # the shipped model, or a path to a .onnx
    v = encoder("a.jpg")                        # float32 (dim,), norm 1
    match = twinpix.compare("a.jpg", "b.jpg")   # .l2_distance .threshold .is_duplicate
    twinpix.explain("a.jpg", "b.jpg").sentence  # what the one is to the other; .reasons .metrics .save("why.html")
    report = twinpix.find_duplicates("./dir")   # .groups .matches .skipped .threshold
    found = twinpix.search("a.jpg", "./dir")    # .nearest
    library = twinpix.Library()                 # .add("./dir"): no picture is encoded twice
    plan = twinpix.make_plan(report)            # what stays, what goes; .apply_plan(plan, yes=True), .undo(yes=True)
    pipe = twinpix.image_encoding()             # pipe("a.jpg"), pipe.is_duplicate("a.jpg", "b.jpg")

Importing it loads no FAISS, no ONNX Runtime and no torch; the first use does.
"""

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.errors import (
    DecodingError,
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
from twinpix.pipeline.act.acted import Acted, ActedFile, ActStatus
from twinpix.pipeline.act.apply import apply_plan
from twinpix.pipeline.act.empty import empty_quarantine
from twinpix.pipeline.act.journal import ActBusyError, JournalError
from twinpix.pipeline.act.make import make_plan
from twinpix.pipeline.act.plan import Partner, Plan, PlannedFile, PlannedGroup, decide
from twinpix.pipeline.act.plan_file import read_plan, write_plan
from twinpix.pipeline.act.undo import undo
from twinpix.pipeline.calibration.calibrations import keep_calibration
from twinpix.pipeline.calibration.study import ClosePair, Study, calibrate
from twinpix.pipeline.duplicates import compare, find_duplicates, group_duplicates
from twinpix.pipeline.explore.search import Neighbour, Neighbours, search, search_embeddings
from twinpix.pipeline.index.stored import StoredIndex, StoreError
from twinpix.pipeline.index.stores import open_index
from twinpix.pipeline.library.add import Added
from twinpix.pipeline.library.check import Problem
from twinpix.pipeline.library.errors import LibraryBusyError, LibraryDamagedError, LibraryError
from twinpix.pipeline.library.forget import Forgotten
from twinpix.pipeline.library.library import Library
from twinpix.pipeline.library.push import Pushed
from twinpix.pipeline.library.status import Status
from twinpix.pipeline.load import load_embeddings
from twinpix.pipeline.pipe import ImageEncoding, image_encoding
from twinpix.pipeline.relation.explain import Explanation, explain
from twinpix.pipeline.relation.kinds import Box, Edits, Kind, Relation
from twinpix.pipeline.report import Embeddings, Group, Match, Report, Skipped
from twinpix.pipeline.second_look.verify import Outcome
from twinpix.pipeline.stream import encode_images

__all__ = [
    "ActBusyError",
    "ActStatus",
    "Acted",
    "ActedFile",
    "Added",
    "Box",
    "Calibration",
    "ClosePair",
    "DecodingError",
    "Edits",
    "Embeddings",
    "Encoder",
    "Explanation",
    "FingerprintError",
    "Forgotten",
    "Group",
    "ImageEncoding",
    "ImageError",
    "ImageLike",
    "InputError",
    "JournalError",
    "Kind",
    "Library",
    "LibraryBusyError",
    "LibraryDamagedError",
    "LibraryError",
    "Match",
    "MissingPackageError",
    "ModelError",
    "Neighbour",
    "Neighbours",
    "OnnxEncoder",
    "Outcome",
    "Partner",
    "Plan",
    "PlannedFile",
    "PlannedGroup",
    "Preprocess",
    "Problem",
    "Pushed",
    "Relation",
    "Report",
    "Skipped",
    "Status",
    "StoreError",
    "StoredIndex",
    "Study",
    "TwinpixError",
    "apply_plan",
    "calibrate",
    "compare",
    "decide",
    "empty_quarantine",
    "encode_images",
    "explain",
    "find_duplicates",
    "group_duplicates",
    "image_encoding",
    "keep_calibration",
    "load_embeddings",
    "load_encoder",
    "make_plan",
    "open_index",
    "read_plan",
    "search",
    "search_embeddings",
    "undo",
    "write_plan",
]
