"""Opening an ONNX file in ONNX Runtime."""

from __future__ import annotations

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
        ModelError: it is not there, or no readable ONNX model.
        MissingPackageError: neither onnxruntime nor onnxruntime-gpu is installed.
    """
    runtime = _import_onnxruntime()
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(path, options, providers=_providers(runtime))
    except Exception as error:  # onnxruntime's own exception classes are private
        raise ModelError(f"{path}: not a readable ONNX model ({one_line(error)})") from None


def one_line(error: Exception) -> str:
    """What an error says, short."""
    return " ".join(str(error).split())[:160]


def _import_onnxruntime() -> Any:
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
