"""Smaller weights in the exported graph: float16 storage, and static int8."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# values; smaller kernels save little. The head stays whole: rounded, it would move embeddings five times as far
SMALLEST_KERNEL = 2**16
INT8_BATCH = 32


def half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store large convolution kernels as float16: nearly half the file. ONNX Runtime casts them back once, at load.

    Arithmetic stays float32, so the speed is the same; only the rounding of the weights (2^-11) changes results.
    """
    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    casts = []
    for tensor in smaller.graph.initializer:
        values = _worth_halving(tensor)
        if values is None:
            continue
        stored = f"{tensor.name}_half"
        casts.append(
            helper.make_node("Cast", [stored], [tensor.name], name=f"{tensor.name}_cast", to=TensorProto.FLOAT)
        )
        tensor.CopyFrom(numpy_helper.from_array(values, stored))
    nodes = [*casts, *smaller.graph.node]
    del smaller.graph.node[:]
    smaller.graph.node.extend(nodes)
    return smaller


def _worth_halving(tensor: onnx.TensorProto) -> NDArray[np.float16] | None:
    if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 4:
        return None
    values = numpy_helper.to_array(tensor)
    if values.size < SMALLEST_KERNEL or not np.abs(values).max() <= np.finfo(np.float16).max:
        return None
    return np.asarray(values, np.float16)


def int8_weights(path: Path, target: Path, pictures: NDArray[np.uint8]) -> None:
    """Static int8 of the convolutions (weights a channel, activations by their range), by ONNX Runtime's quantiser.

    Args:
        path: a model with float32 weights.
        target: where the quantised model goes; metadata comes along.
        pictures: uint8 (n, 3, size, size), prepared training pictures that show the range of activations.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static, shape_inference

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped package
        def __init__(self) -> None:
            blocks: Iterator[NDArray[np.uint8]] = (
                pictures[i : i + INT8_BATCH] for i in range(0, len(pictures), INT8_BATCH)
            )
            self.feeds = ({"images": block} for block in blocks)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            return next(self.feeds, None)

    with TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.onnx"
        shape_inference.quant_pre_process(path, ready, skip_symbolic_shape=True)
        quantize_static(
            ready, target, Reader(), op_types_to_quantize=["Conv"], per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
