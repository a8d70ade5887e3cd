"""Smaller weights in the exported graph: float16 storage, and int8 arithmetic where most of the time goes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from twinpix.encoder.session import import_onnxruntime

# values; smaller kernels save little. The head stays whole: rounded, it would move embeddings five times as far
SMALLEST_KERNEL = 2**16
SMALLEST_INT8 = 2**15  # values; the kernels nearest to the picture take little time and would cause most of the error
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
    """Static int8 of the large convolutions, by ONNX Runtime's quantiser: half the time, and distances hardly move.

    Weights a channel, activations by their range; small kernels stay float32. Weights take 7 bits, so that no CPU
    saturates (AVX2 without VNNI adds two products in 16 bits); what stays float rounds a little differently on each.

    Args:
        path: a model with float32 weights.
        target: where the quantised model goes; metadata comes along.
        pictures: uint8 (n, 3, size, size), prepared training pictures that show the range of activations.
    """
    import_onnxruntime()
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped package
        def __init__(self) -> None:
            blocks: Iterator[NDArray[np.uint8]] = (
                pictures[i : i + INT8_BATCH] for i in range(0, len(pictures), INT8_BATCH)
            )
            self.feeds = ({"images": block} for block in blocks)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            return next(self.feeds, None)

    if not (large := _large_convolutions(onnx.load(path))):  # the quantiser would take all for none
        target.write_bytes(path.read_bytes())
        return
    with _quiet():
        quantize_static(
            path, target, Reader(), nodes_to_quantize=large, per_channel=True, reduce_range=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip


def _large_convolutions(model: onnx.ModelProto) -> list[str]:
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    convolutions = (node for node in model.graph.node if node.op_type == "Conv")
    return [node.name for node in convolutions if sizes.get(node.input[1], 0) >= SMALLEST_INT8]


@contextmanager
def _quiet() -> Iterator[None]:
    # the quantiser advises a pre-processing that would fold the background's float16 into twice the file
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
