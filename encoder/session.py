"""Opening an ONNX file in ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinpix.encoder.errors import MissingPackageError, ModelError

if TYPE_CHECKING:
    import onnxruntime


def open_session(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """The model, ready to run.

    Args:
        threads: CPU threads of one inference.

    Raises:
        ModelError: it is not there, no readable ONNX model, or not the file that `NAME.json` beside it was written for.
        MissingPackageError: neither onnxruntime nor onnxruntime-gpu is installed.
    """
    runtime = import_onnxruntime()
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    _check_digest(path)
    try:
        return runtime.InferenceSession(path, options, providers=_providers(runtime))
    except Exception as error:  # onnxruntime's own exception classes are private
        raise ModelError(f"{path}: not a readable ONNX model ({one_line(error)})") from None


def _check_digest(path: Path) -> None:
    # before a parser sees it: a flipped bit in a weight would change embeddings, and nobody would notice
    if path.suffix != ".onnx":
        return  # the draft of a model whose .json is still that of the one before
    if _beside(path).get("sha256", "") not in ("", sha256_of(path)):
        raise ModelError(
            f"{path}: not the file that {path.with_suffix('.json').name} beside it was written for, or damaged: "
            "install or train it again"
        )


def _beside(path: Path) -> dict[str, Any]:
    # what `NAME.json` says; nothing of a model that was made elsewhere, or copied alone
    try:
        facts = json.loads(path.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def told_aside(path: Path, facts: Sequence[str]) -> str | None:
    """The metadata that a model file holds, found by `NAME.json` beside it, which repeats them: JSON.

    To open a session takes a tenth of a second, and who has all embeddings needs none.

    Args:
        facts: names of those that may be inside; the others in `NAME.json` are not.

    Returns:
        None where the file is not, byte for byte, what `NAME.json` was written for, or does not hold these metadata:
        then the session has to be asked.
    """
    beside = _beside(path)
    if not path.is_file() or beside.get("sha256") != hashlib.sha256(inside := path.read_bytes()).hexdigest():
        return None
    text = json.dumps({name: beside[name] for name in facts if name in beside}, sort_keys=True)
    return text if text.encode() in inside else None


def sha256_of(path: Path) -> str:
    """64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def one_line(error: Exception) -> str:
    """What an error says, short."""
    return " ".join(str(error).split())[:160]


def check_onnxruntime() -> None:
    """Raises MissingPackageError where there is no ONNX Runtime; it is not loaded."""
    try:
        is_there = find_spec("onnxruntime") is not None
    except ImportError:  # of an import hook
        is_there = False
    if not is_there:
        import_onnxruntime()


def import_onnxruntime() -> Any:
    """ONNX Runtime, kept from gathering facts about this machine and sending them to its makers, as its wheels do.

    Raises:
        MissingPackageError: neither onnxruntime nor onnxruntime-gpu is installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when it is loaded; its own call comes too late
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
