"""The exported file: computes what torch does, says what it is, and gives nothing away about this machine."""

from __future__ import annotations

import copy
import getpass
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from twinpix.encoder.calibration import Calibration
from twinpix.encoder.errors import InputError
from twinpix.encoder.network import Architecture, CopyNet
from twinpix.encoder.onnx import METADATA_KEY, OnnxEncoder, fingerprint
from twinpix.encoder.preprocess import Preprocess
from twinpix.train import export
from twinpix.train.export import ParityError, export_onnx, load_weights, read_metadata, save_weights, write_metadata
from twinpix.train.rendered import render_pictures
from twinpix.train.weights import SMALLEST_INT8, SMALLEST_KERNEL, half_weights

SMALL = Architecture(4, (4, 6, 8, 8), (2, 2, 2, 1), (0, 1, 0, 1), 16, 3)
CURVE = Calibration((0.1, 0.3, 0.7), (1e-6, 1e-4, 1e-2), 1e-4, 500, "test pictures")


def small_net(seed: int) -> CopyNet:
    """With statistics that training has moved."""
    torch.manual_seed(seed)
    net = CopyNet(SMALL)
    numbers = torch.Generator().manual_seed(seed)
    for _ in range(3):
        net(torch.randint(0, 256, (8, 3, 32, 32), generator=numbers).float())
    return net.eval()


@pytest.fixture(scope="module")
def net() -> CopyNet:
    return small_net(0)


@pytest.fixture(scope="module")
def model(net: CopyNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    export_onnx(net, Preprocess(size=32), path)
    return path


@pytest.fixture
def own(model: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    path = tmp_path / "own.onnx"
    path.write_bytes(model.read_bytes())
    return path


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_onnx_runtime_computes_what_torch_does(batch: int, net: CopyNet, model: Path) -> None:
    numbers = torch.Generator().manual_seed(batch)
    pictures = torch.randint(0, 256, (batch, 3, 32, 32), generator=numbers, dtype=torch.uint8)
    pictures[0] = 77  # a blank one goes the other way through the network
    with torch.inference_mode():
        expected = net(pictures.float()).numpy()
    got = OnnxEncoder(model).encode(pictures.numpy())
    assert got.shape == (batch, 16) and got.dtype == np.float32
    assert np.linalg.norm(got - expected, axis=1).max() < 1e-4
    assert np.abs(np.linalg.norm(got, axis=1) - 1).max() < 1e-5


def test_graph_takes_bytes_in_any_number(model: Path) -> None:
    graph = onnx.load(model).graph
    (images,), (embeddings,) = graph.input, graph.output
    assert images.name == "images" and embeddings.name == "embeddings"
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    first, *rest = images.type.tensor_type.shape.dim
    assert first.dim_param and not first.HasField("dim_value")
    assert [d.dim_value for d in rest] == [3, 32, 32]


def test_everything_is_in_one_file(model: Path) -> None:
    assert [path.name for path in model.parent.iterdir()] == ["small.onnx"]
    onnx.checker.check_model(onnx.load(model), full_check=True)


def test_file_names_no_path_of_this_machine(model: Path) -> None:
    content = model.read_bytes()
    places = [sys.prefix, str(Path.cwd()), str(Path.home()), str(model.parent), str(Path(torch.__file__).parent),
              str(Path(export.__file__).parent)]  # fmt: skip
    for place in (*places, "site-packages", 'File "', ".py", "/tmp/"):
        assert place.encode() not in content, place
    assert f"/{getpass.getuser()}/".encode() not in content


def test_metadata_round_trip(own: Path) -> None:
    facts = read_metadata(own)
    assert facts["schema"] == 1 and facts["dim"] == 16
    assert facts["preprocess"] == {"size": 32, "interpolation": "bilinear", "despeckle": False, "reducing_gap": 2.0}
    assert "calibration" not in facts
    write_metadata(own, facts, Preprocess(size=32), CURVE)
    again = read_metadata(own)
    assert again == {**facts, "calibration": CURVE.to_dict()}
    write_metadata(own, again, Preprocess(size=32), CURVE)  # a second time changes nothing
    assert read_metadata(own) == again
    encoder = OnnxEncoder(own)
    assert encoder.calibration == CURVE
    assert encoder.preprocess == Preprocess(size=32)
    assert (encoder.dim, encoder.fingerprint) == (16, facts["fingerprint"])
    assert [path.name for path in own.parent.iterdir()] == ["own.onnx"]  # no temporary file stays


def test_calibration_leaves_fingerprint_and_results(own: Path, model: Path) -> None:
    write_metadata(own, read_metadata(own), Preprocess(size=32), CURVE)
    before, after = OnnxEncoder(model), OnnxEncoder(own)
    assert before.fingerprint == after.fingerprint
    pictures = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    assert np.array_equal(before.encode(pictures), after.encode(pictures))


def test_fingerprint_is_that_of_graph_and_preprocessing(model: Path) -> None:
    graph = onnx.load(model)
    del graph.metadata_props[:]
    network = graph.SerializeToString(deterministic=True)
    mark = read_metadata(model)["fingerprint"]
    assert fingerprint(network, Preprocess(size=32)) == mark
    others = [Preprocess(size=48), Preprocess(size=32, interpolation="bicubic")]
    assert len({mark, *(fingerprint(network, other) for other in others)}) == 3
    weights = max(graph.graph.initializer, key=lambda value: len(value.raw_data))
    weights.raw_data = weights.raw_data[:-4] + np.float32(0.123).tobytes()
    assert fingerprint(graph.SerializeToString(deterministic=True), Preprocess(size=32)) != mark


def test_export_repeats_and_tells_networks_apart(net: CopyNet, model: Path, tmp_path: Path) -> None:
    mark = read_metadata(model)["fingerprint"]
    assert export_onnx(net, Preprocess(size=32), tmp_path / "again.onnx") == mark
    assert (tmp_path / "again.onnx").read_bytes() == model.read_bytes()
    moved = copy.deepcopy(net)
    with torch.no_grad():
        moved.head.weight[0, 0] += 0.01
    assert export_onnx(moved, Preprocess(size=32), tmp_path / "moved.onnx") != mark


def test_difference_is_a_parity_error(net: CopyNet, model: Path) -> None:
    export._check_parity(net, Preprocess(size=32), model, export.PARITY)
    with pytest.raises(ParityError, match="torch and ONNX Runtime differ by"):
        export._check_parity(small_net(1), Preprocess(size=32), model, export.PARITY)
    broken = copy.deepcopy(net)
    with torch.no_grad():
        broken.head.weight.fill_(torch.nan)
    with pytest.raises(ParityError):
        export._check_parity(broken, Preprocess(size=32), model, export.HALF_PARITY)


def test_failed_export_leaves_the_earlier_model(net: CopyNet, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = own.read_bytes()
    monkeypatch.setattr(export, "PARITY", -1.0)
    with pytest.raises(ParityError):
        export_onnx(net, Preprocess(size=32), own)
    assert own.read_bytes() == before


def test_weights_round_trip(net: CopyNet, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(copy.deepcopy(net).to(memory_format=torch.channels_last), path)  # type: ignore[call-overload]
    weights = load_weights(path)
    assert set(weights) == set(net.state_dict())
    for name, value in net.state_dict().items():
        assert torch.equal(weights[name], value), name
    CopyNet(SMALL).load_state_dict(weights)


@pytest.mark.parametrize("content", [None, b"", b"not safetensors at all"])
def test_unreadable_weights_are_a_named_error(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"not a readable \.safetensors file"):
        load_weights(path)


def test_metadata_is_json_under_the_known_key(model: Path) -> None:
    props = {p.key: p.value for p in onnx.load(model).metadata_props}
    assert set(props) == {METADATA_KEY}
    assert json.loads(props[METADATA_KEY])["dim"] == 16


@pytest.fixture(scope="module")
def wide() -> CopyNet:
    """With kernels large enough to be halved."""
    torch.manual_seed(2)
    net = CopyNet(Architecture(4, (8, 96, 128), (2, 2, 1), (0, 0, 1), 16, 2))
    for _ in range(3):
        net(torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(2)).float())
    return net.eval()


def test_halved_kernels_compute_nearly_the_same(wide: CopyNet, tmp_path: Path) -> None:
    sizes, vectors = {}, {}
    pictures = torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    for weights in ("fp32", "fp16"):
        path = tmp_path / f"{weights}.onnx"
        export_onnx(wide, Preprocess(size=32), path, weights)
        sizes[weights], vectors[weights] = path.stat().st_size, OnnxEncoder(path).encode(pictures.numpy())
    large = sum(p.numel() for p in wide.parameters() if p.ndim == 4 and p.numel() >= SMALLEST_KERNEL)
    assert large > 100_000
    assert sizes["fp32"] - sizes["fp16"] == pytest.approx(2 * large, rel=0.01)
    moved = np.linalg.norm(vectors["fp32"] - vectors["fp16"], axis=1).max()
    assert 0 < moved < 2e-3
    kinds = {t.data_type for t in onnx.load(tmp_path / "fp16.onnx").graph.initializer if len(t.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
    assert read_metadata(tmp_path / "fp32.onnx")["fingerprint"] != read_metadata(tmp_path / "fp16.onnx")["fingerprint"]


def test_small_or_huge_values_stay_whole() -> None:
    def halved(values: np.ndarray) -> bool:
        tensor = onnx.numpy_helper.from_array(values, "w")
        graph = onnx.helper.make_graph([], "g", [], [], [tensor])
        (stored,) = half_weights(onnx.helper.make_model(graph)).graph.initializer
        return bool(stored.data_type == onnx.TensorProto.FLOAT16)

    large = np.ones((128, 128, 3, 3), np.float32)
    assert halved(large)
    assert not halved(large[:8])
    assert not halved(large.reshape(128, -1))  # a linear layer
    assert not halved(1e5 * large) and not halved(np.nan * large)


def test_unknown_weights(net: CopyNet, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="int8, fp16, fp32"):
        export_onnx(net, Preprocess(size=32), tmp_path / "m.onnx", "int4")


def test_rounding_too_far_is_refused(wide: CopyNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "HALF_PARITY", 1e-9)
    with pytest.raises(ParityError):
        export_onnx(wide, Preprocess(size=32), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_int8_runs_in_runtime_and_stays_near(wide: CopyNet, tmp_path: Path) -> None:
    pictures = render_pictures(40, 32, seed=5).pixels.numpy()
    whole, rounded = tmp_path / "whole.onnx", tmp_path / "rounded.onnx"
    export_onnx(wide, Preprocess(size=32), whole, "fp32")
    export_onnx(wide, Preprocess(size=32), rounded, "int8", pictures)
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(rounded).graph.node}
    assert rounded.stat().st_size < 0.5 * whole.stat().st_size
    cosine = (OnnxEncoder(rounded).encode(pictures) * OnnxEncoder(whole).encode(pictures)).sum(1)
    assert 0.9 < cosine.min() < 0.9999999


def test_int8_that_moves_most_pictures_is_refused(
    wide: CopyNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, path = render_pictures(40, 32, seed=5).pixels.numpy(), tmp_path / "m.onnx"
    export_onnx(wide, Preprocess(size=32), path, "int8", pictures)
    blended = export.blended(pictures)
    assert blended.shape == (20, 3, 32, 32) and np.abs(blended.astype(int) - pictures[:20]).mean() > 5
    gaps = export._gaps(wide, path, blended)
    assert gaps.shape == (20,) and 0 < np.median(gaps) < export.INT8_PARITY
    monkeypatch.setattr(export, "INT8_PARITY", float(np.median(gaps)) / 2)
    with pytest.raises(ParityError, match="differ by"):
        export_onnx(wide, Preprocess(size=32), tmp_path / "n.onnx", "int8", pictures)
    assert not (tmp_path / "n.onnx").exists()


def test_int8_takes_seven_bits_of_large_kernels_alone(wide: CopyNet, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    export_onnx(wide, Preprocess(size=32), path, "int8", render_pictures(40, 32, seed=5).pixels.numpy())
    kernels = [onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer if len(t.dims) == 4]
    rounded = [kernel for kernel in kernels if kernel.dtype == np.int8]
    assert rounded and all(kernel.size >= SMALLEST_INT8 and np.abs(kernel).max() <= 64 for kernel in rounded)
    assert all(kernel.size < SMALLEST_INT8 for kernel in kernels if kernel.dtype != np.int8)


def test_int8_of_a_network_without_large_kernels_changes_nothing(net: CopyNet, tmp_path: Path) -> None:
    pictures = render_pictures(20, 32, seed=5).pixels.numpy()
    export_onnx(net, Preprocess(size=32), tmp_path / "a.onnx", "int8", pictures)
    export_onnx(net, Preprocess(size=32), tmp_path / "b.onnx", "fp32")
    a, b = (OnnxEncoder(tmp_path / f"{name}.onnx").encode(pictures) for name in "ab")
    assert np.array_equal(a, b)


def test_int8_needs_pictures(net: CopyNet, tmp_path: Path) -> None:
    for too_few in (None, np.zeros((1, 3, 32, 32), np.uint8)):
        with pytest.raises(ValueError, match="range of activations"):
            export_onnx(net, Preprocess(size=32), tmp_path / "m.onnx", "int8", too_few)
