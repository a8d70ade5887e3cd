# What `import twinpix` gives, and where it is from: `__init__.py` loads each name at its first use.
from .encoder.calibration import Calibration
from .encoder.errors import (
    DecodingError,
    FingerprintError,
    ImageError,
    InputError,
    MissingPackageError,
    ModelError,
    TwinpixError,
)
from .encoder.onnx import ImageLike, OnnxEncoder, load_encoder
from .encoder.preprocess import Preprocess
from .encoder.protocol import Encoder
from .pipeline.act.acted import Acted, ActedFile, ActStatus
from .pipeline.act.apply import apply_plan
from .pipeline.act.empty import empty_quarantine
from .pipeline.act.journal import ActBusyError, JournalError
from .pipeline.act.make import make_plan
from .pipeline.act.plan import Partner, Plan, PlannedFile, PlannedGroup, decide
from .pipeline.act.plan_file import read_plan, write_plan
from .pipeline.act.undo import undo
from .pipeline.calibration.calibrations import keep_calibration
from .pipeline.calibration.study import ClosePair, Study, calibrate
from .pipeline.duplicates import compare, find_duplicates, group_duplicates
from .pipeline.explore.search import Neighbour, Neighbours, search, search_embeddings
from .pipeline.index.stored import StoredIndex, StoreError
from .pipeline.index.stores import open_index
from .pipeline.library.add import Added
from .pipeline.library.check import Problem
from .pipeline.library.errors import LibraryBusyError, LibraryDamagedError, LibraryError
from .pipeline.library.forget import Forgotten
from .pipeline.library.library import Library
from .pipeline.library.push import Pushed
from .pipeline.library.status import Status
from .pipeline.load import load_embeddings
from .pipeline.pipe import ImageEncoding, image_encoding
from .pipeline.relation.explain import Explanation, explain
from .pipeline.relation.kinds import Box, Edits, Kind, Relation
from .pipeline.report import Embeddings, Group, Match, Report, Skipped
from .pipeline.second_look.outcome import Outcome
from .pipeline.stream import encode_images

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
