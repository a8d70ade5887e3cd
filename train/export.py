"""A trained network -> `NAME.onnx` with everything needed to run it inside, `NAME.safetensors`, `NAME.json`."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.errors import InputError, TwinpixError
from twinpix.encoder.onnx import METADATA_KEY, fingerprint
from twinpix.encoder.preprocess import Preprocess
from twinpix.encoder.session import import_onnxruntime
from twinpix.train.low_rank import within_subspaces
from twinpix.train.weights import half_weights, int8_weights

PARITY = 1e-4  # largest L2 distance between torch's and ONNX Runtime's embedding of one picture
HALF_PARITY = 2e-3  # the same, once the weights are rounded to float16; distances are shown to three digits
INT8_PARITY = 0.15  # of most pictures (the median), once the large kernels are int8; the shipped model's lie .09 apart
ASKED, ASKED_OF_INT8 = 5, 64  # pictures: a batch size that the export did not see
WEIGHTS = ("int8", "fp16", "fp32")


class ParityError(TwinpixError):
    """The exported model does not compute what the trained one does."""


class FromBytes(nn.Module):
    """The exported graph takes uint8 pictures, so that a batch costs a quarter of the memory."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """uint8 -> whatever the network makes of the same levels in float32."""
        return self.net(images.float())  # type: ignore[no-any-return]


def export_onnx(
    net: nn.Module, preprocess: Preprocess, path: Path, weights: str = "fp16", seen: NDArray[np.uint8] | None = None
) -> str:
    """Write the graph without calibration; returns its fingerprint.

    Args:
        net: float32 (n, 3, size, size), levels 0..255 -> float32 (n, dim), L2 norm 1.
        weights: of large kernels: `fp32`; `fp16`, stored so and computed as float32; or `int8`, computed so, and
            within subspaces where they allow it.
        seen: uint8 (n, 3, size, size), prepared training pictures, which int8 takes its ranges and subspaces from.

    Raises:
        ParityError: ONNX Runtime's embeddings differ from torch's by more than `PARITY`; or by more than
            `HALF_PARITY` or `INT8_PARITY` once the weights are rounded.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"weights {weights!r}: choose from {', '.join(WEIGHTS)}")
    if weights == "int8" and (seen is None or len(seen) < 2):
        raise ValueError("int8 weights need pictures, two at least, to take the range of activations from")
    net = net.cpu().eval()
    lean = net if seen is None or weights != "int8" else within_subspaces(net, seen)
    example = torch.zeros(2, 3, preprocess.size, preprocess.size, dtype=torch.uint8)
    model = graph_of(FromBytes(lean), {"images": example}, "embeddings")
    draft = path.with_suffix(".draft")  # an earlier model stays as it is until this one is known to be right
    try:
        _write_checked(model, lean, preprocess, draft, PARITY)
        if weights == "fp16":
            model = half_weights(model)
            _write_checked(model, net, preprocess, draft, HALF_PARITY)
        elif seen is not None and weights == "int8":
            model = to_int8(draft, seen)
            _refuse(float(np.median(_gaps(net, draft, blended(seen)))), INT8_PARITY)
        mark = fingerprint(model.SerializeToString(deterministic=True), preprocess)
        write_metadata(draft, {"schema": 1, "dim": _dim(model), "fingerprint": mark}, preprocess, None)
        path.with_suffix(".json").unlink(missing_ok=True)  # it describes another file, and says so by its SHA-256
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return mark


def graph_of(net: nn.Module, examples: dict[str, Tensor], output: str) -> onnx.ModelProto:
    """The network as an ONNX graph that takes any number of rows.

    Args:
        examples: name of an input -> two rows of it or more.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's about its own code
        program = torch.onnx.export(
            net.eval(),
            tuple(examples.values()),
            input_names=list(examples),
            output_names=[output],
            dynamic_shapes=tuple({0: torch.export.Dim.DYNAMIC} for _ in examples),
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # None only without dynamo
    return _without_debug_text(program.model_proto)


def _write_checked(model: onnx.ModelProto, net: nn.Module, preprocess: Preprocess, path: Path, parity: float) -> None:
    write_graph(model, path)
    _check_parity(net, preprocess, path, parity)


def write_graph(model: onnx.ModelProto, path: Path) -> None:
    """Check the graph, and write it."""
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _dim(model: onnx.ModelProto) -> int:
    return int(model.graph.output[0].type.tensor_type.shape.dim[1].dim_value)


def write_metadata(path: Path, facts: dict[str, Any], preprocess: Preprocess, calibration: Calibration | None) -> None:
    """Put preprocessing and calibration inside the model file, in one replace."""
    model = onnx.load(path)
    facts = {**facts, "preprocess": preprocess.to_dict()}
    if calibration is not None:
        facts["calibration"] = calibration.to_dict()
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(facts, sort_keys=True)})
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(model.SerializeToString(deterministic=True))
    os.replace(temporary, path)


def read_metadata(path: Path) -> dict[str, Any]:
    """What `write_metadata` put there."""
    props = {p.key: p.value for p in onnx.load(path, load_external_data=False).metadata_props}
    return dict(json.loads(props[METADATA_KEY]))


def save_weights(net: nn.Module, path: Path) -> None:
    """Trainable weights and the background, for `twinpix train --init`."""
    tensors = {**net.state_dict(), **dict(net.named_buffers())}  # the state leaves the background out
    save_file({name: value.contiguous() for name, value in tensors.items() if value.numel()}, path)


def load_weights(path: Path) -> dict[str, Tensor]:
    """The inverse of `save_weights`.

    Raises:
        InputError: the file is not there or not safetensors.
    """
    try:
        return load_file(path)
    except Exception as error:
        raise InputError(f"{path}: not a readable .safetensors file ({error})") from None


def to_int8(path: Path, seen: NDArray[np.uint8]) -> onnx.ModelProto:
    """Compute the large kernels of a model file in int8 from now on; returns what it holds then.

    Args:
        seen: as in `int8_weights`.
    """
    int8_weights(path, path, seen)
    model = _without_debug_text(onnx.load(path))
    write_graph(model, path)
    return model


def _without_debug_text(model: onnx.ModelProto) -> onnx.ModelProto:
    # the exporter records stack traces with paths of the machine it ran on
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    return model


def _check_parity(net: nn.Module, preprocess: Preprocess, path: Path, parity: float) -> None:
    shape = (ASKED, 3, preprocess.size, preprocess.size)
    noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    _refuse(float(_gaps(net, path, noise.numpy()).max()), parity)


def blended(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """New pictures, `ASKED_OF_INT8` at most, each out of two of these: uint8 (n, 3, px, px) -> (k, 3, px, px)."""
    # one that the background holds moves thrice as far as any other
    half = min(ASKED_OF_INT8, len(pictures) // 2)
    return np.asarray(pictures[:half] // 2 + pictures[half : 2 * half] // 2, np.uint8)


@torch.inference_mode()
def _gaps(net: nn.Module, path: Path, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    # L2 of each picture's embedding to torch's
    session = import_onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
    expected, got = net(torch.from_numpy(pictures).float()).numpy(), session.run(None, {"images": pictures})[0]
    return np.asarray(np.linalg.norm(expected - got, axis=1), np.float32)


def _refuse(gap: float, parity: float) -> None:
    if not gap <= parity:
        raise ParityError(f"torch and ONNX Runtime differ by {gap:.2e} (at most {parity:.0e} allowed)")
