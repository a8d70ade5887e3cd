"""ONNX models made elsewhere, as encoders. The models are small graphs made on the spot: their features are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinpix.encoder.errors import InputError, ModelError
from twinpix.encoder.foreign import ForeignEncoder
from twinpix.encoder.onnx import BATCH, load_encoder
from twinpix.encoder.recipe import PRESETS
from twinpix.pipeline.duplicates import find_duplicates

onnx = pytest.importorskip("onnx")
Paint = Callable[..., Image.Image]
Command = Callable[..., Any]
Build = Callable[..., Path]
Axes = Sequence[int | str | None]

RGB_MEANS = {"preset": "imagenet", "size": 8, "normalise": False}
KINDS = {"float32": 1, "float16": 10, "uint8": 2}
POOLS: dict[str, list[int]] = {"NCHW": [2, 3], "NHWC": [1, 2]}


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """`build(shape, ...)`: a model whose features are the means of the three channels as it is fed them."""

    def make(
        shape: Axes = ("n", 3, 8, 8), dtype: str = "float32", layout: str = "NCHW", maps: bool = False,
        name: str = "means.onnx", sidecar: dict[str, Any] | None = None, gain: float = 1.0,
    ) -> Path:  # fmt: skip
        node, tensor = onnx.helper.make_node, onnx.helper.make_tensor_value_info
        nodes = [
            node("Cast", ["image"], ["levels"], to=1),
            node("Mul", ["levels", "gain"], ["grown"]),
            node("Identity", ["grown"], ["places"]),
            node("ReduceMean", ["levels", "axes"], ["means"], keepdims=0),
        ]
        constants = [
            onnx.numpy_helper.from_array(np.array(POOLS[layout], np.int64), "axes"),
            onnx.numpy_helper.from_array(np.float32(gain), "gain"),
        ]
        outputs = [tensor("means", 1, [shape[0], 3]), tensor("places", 1, list(shape))]
        graph = onnx.helper.make_graph(
            nodes, "g", [tensor("image", KINDS[dtype], list(shape))], outputs[::-1] if maps else outputs, constants
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
        onnx.save(model, tmp_path / name)
        if sidecar is not None:
            (tmp_path / name).with_suffix(".json").write_text(json.dumps(sidecar))
        return tmp_path / name

    return make


def expected(picture: Image.Image, preset: str = "imagenet") -> NDArray[np.float64]:
    """Means of the channels after squeezing, standardised."""
    squeezed = np.asarray(picture.resize((8, 8), Image.Resampling.BILINEAR), np.float64)
    mean, std = np.array(PRESETS[preset]["mean"]), np.array(PRESETS[preset]["std"])
    return np.asarray((squeezed.mean((0, 1)) / 255 - mean) / std)


SHAPES = [
    (("n", 3, 8, 8), "NCHW"), ((1, 3, 8, 8), "NCHW"), ((5, 3, 8, 8), "NCHW"), (("n", 3, "h", "w"), "NCHW"),
    (("n", "c", "h", "w"), "NCHW"), (("n", 8, 8, 3), "NHWC"), ((1, 8, 8, 3), "NHWC"), ((None, None, None, 3), "NHWC"),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "layout"), SHAPES)
@pytest.mark.parametrize("maps", [False, True])
def test_layouts_sizes_and_batches(build: Build, paint: Paint, shape: Axes, layout: str, maps: bool) -> None:
    path = build(shape, layout=layout, maps=maps)
    encoder = load_encoder(path, preset="imagenet", size=8, fit="squeeze", normalise=False)
    pictures = [paint(seed, 8, 8) for seed in range(7)]
    vectors = encoder(pictures)
    assert vectors.shape == (7, encoder.dim) == (7, 3)
    assert vectors.dtype == np.float32
    assert vectors == pytest.approx(np.array([expected(p) for p in pictures]), abs=1e-4)
    assert encoder.encode(np.empty((0, 3, 8, 8), np.uint8)).shape == (0, 3)


def test_more_than_a_batch(build: Build, paint: Paint) -> None:
    pictures = [paint(seed, 8, 8) for seed in range(BATCH + 3)]
    free, fixed = (load_encoder(build(shape, name=f"{shape[0]}.onnx"), **RGB_MEANS) for shape in SHAPES_TWO)
    assert free(pictures) == pytest.approx(fixed(pictures), abs=1e-5)


SHAPES_TWO: tuple[Axes, Axes] = (("n", 3, 8, 8), (4, 3, 8, 8))


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
def test_other_types(build: Build, paint: Paint, dtype: str) -> None:
    given: dict[str, Any] = {} if dtype == "uint8" else {"mean": [0, 0, 0], "std": [1, 1, 1], "scale": 1}
    encoder = load_encoder(build(dtype=dtype), normalise=False, **given)
    levels = np.asarray(paint(1, 8, 8), np.float64).mean((0, 1))
    assert encoder(paint(1, 8, 8)) == pytest.approx(levels, rel=2e-3)


def test_norm_one_by_default(build: Build, paint: Paint) -> None:
    encoder = load_encoder(build(), preset="clip")
    assert np.linalg.norm(encoder(paint(1))) == pytest.approx(1, abs=1e-5)
    assert encoder.max_distance == 2.0
    assert load_encoder(build(), **RGB_MEANS).max_distance == float("inf")


def test_presets_differ_as_published(build: Build, paint: Paint) -> None:
    for preset in PRESETS:
        encoder = load_encoder(build(), preset=preset, fit="squeeze", interpolation="bilinear", normalise=False)
        assert encoder(paint(1, 8, 8)) == pytest.approx(expected(paint(1, 8, 8), preset), abs=1e-4)
    assert load_encoder(build(("n", 3, "h", "w")), preset="imagenet").preprocess.size == 224


def test_cropping_sees_the_middle_only(build: Build) -> None:
    picture = Image.new("RGB", (40, 20))
    picture.paste((255, 255, 255), (10, 0, 30, 20))  # white in the middle square, black beside it
    given: dict[str, Any] = {"mean": [0, 0, 0], "normalise": False}
    assert load_encoder(build(), fit="crop", **given)(picture) == pytest.approx([1, 1, 1], abs=0.05)
    assert load_encoder(build(), fit="squeeze", **given)(picture) == pytest.approx([0.5, 0.5, 0.5], abs=0.05)


def test_an_input_that_is_no_square(build: Build) -> None:
    encoder = load_encoder(build(("n", 3, 8, 4)), preset="clip")
    assert encoder.prepare(Image.new("RGB", (30, 20))).shape == (3, 8, 4)


def test_sidecar_and_arguments(build: Build, paint: Paint) -> None:
    written = load_encoder(build(sidecar=RGB_MEANS))
    assert np.array_equal(written(paint(1)), load_encoder(build(), **RGB_MEANS)(paint(1)))
    overruled = load_encoder(build(sidecar=RGB_MEANS), normalise=True)
    assert np.linalg.norm(overruled(paint(1))) == pytest.approx(1, abs=1e-5)


def test_an_output_by_name(build: Build, paint: Paint) -> None:
    means, places = (load_encoder(build(gain=3), output=name, **RGB_MEANS) for name in ("means", "places"))
    assert places(paint(1)) == pytest.approx(3 * means(paint(1)), rel=1e-4)
    with pytest.raises(ModelError, match="no output 'nothing': there are means, places"):
        load_encoder(build(), output="nothing", **RGB_MEANS)


def test_fingerprint_covers_file_weights_beside_it_and_preprocessing(build: Build) -> None:
    def mark(**given: Any) -> str:
        return load_encoder(build(), **{**RGB_MEANS, **given}).fingerprint

    base = mark()
    assert base == mark() and len(base) == 16
    assert load_encoder(build(gain=2), **RGB_MEANS).fingerprint != base
    assert len({base, mark(preset="clip"), mark(normalise=True), mark(fit="squeeze")}) == 4
    build().with_suffix(".onnx.data").write_bytes(b"weights")
    assert mark() != base


@pytest.mark.parametrize("place", ["weights.bin", "deep/weights.bin", "x" * 130])
def test_fingerprint_covers_weights_wherever_the_graph_says(build: Build, tmp_path: Path, place: str) -> None:
    path, weights = build(), tmp_path / place
    model = onnx.load(path)
    (gain,) = (tensor for tensor in model.graph.initializer if tensor.name == "gain")
    onnx.external_data_helper.set_external_data(gain, place)
    gain.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    weights.parent.mkdir(exist_ok=True)

    def mark(gain: float) -> str:
        weights.write_bytes(np.float32(gain).tobytes())
        return load_encoder(path, **RGB_MEANS).fingerprint

    assert len({mark(2), mark(3), mark(2)}) == 2


def test_it_is_an_encoder_like_any_other(build: Build, album: Path) -> None:
    encoder = load_encoder(build(sidecar={"preset": "imagenet"}))
    assert isinstance(encoder, ForeignEncoder)
    assert not encoder.is_calibrated
    report = find_duplicates(album, encoder=encoder, threshold=0.001)
    assert [len(group.files) for group in report.groups] == [3]
    assert report.fingerprint == encoder.fingerprint


def test_without_calibration_a_threshold_is_needed(build: Build, album: Path, command: Command) -> None:
    path = build(sidecar={"preset": "imagenet"})
    done = command("find-duplicates", album, "--model", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--threshold" in done.stderr and done.stderr.count("\n") == 1
    assert done.stderr.endswith(f"twinpix calibrate DIR --model {path}\n")
    assert command("find-duplicates", album, "--model", path, "--threshold", "0.001").returncode == 0
    assert command("encode-images", album, "--model", path, "-o", album / "out.npz").returncode == 0


def test_float_input_without_a_word_on_its_scale(build: Build) -> None:
    with pytest.raises(ModelError, match=r'does not say how levels are scaled.*means\.json.*"imagenet"'):
        load_encoder(build())


@pytest.mark.parametrize(
    ("shape", "given", "words"),
    [
        (("n", 1, 8, 8), {}, r"image: float32 \(\?, 1, 8, 8\)\) is no RGB image"),
        (("n", 3, 8, 8), {"layout": "NHWC"}, "no RGB image in NHWC"),
        (("n", 3, 8, 8), {"size": 9}, "does not fit size 9"),
        (("n", 3, 8, 8), {"preset": "imaginary"}, "no preset 'imaginary': there are imagenet, clip"),
        (("n", 3, 8, 8), {"siez": 8}, "onnx: unknown setting 'siez'; settings are preset, size"),
        (
            ("n", 3, 8, 8),
            {"despeckle": True},
            "unknown setting 'despeckle'; settings are (?!.*(despeckle|reducing_gap))",
        ),
        (("n", 3, 8, 8), {"reducing_gap": 1.5}, "unknown setting 'reducing_gap'"),
        (("n", 3, 8, 8), {"fit": "stretch"}, "stretch"),
        (("n", 3, 8, 8), {"std": [1, 0, 1]}, "std"),
        (("n", 3, 8, 8), {"mean": "grey"}, "can't be used"),
        (("n", 3, 8, 8), {"interpolation": "none"}, "none"),
        (("n", 3, "h", "w"), {"preset": None, "mean": [0, 0, 0]}, 'takes any size: write "size"'),
    ],
)
def test_what_does_not_fit(build: Build, shape: Axes, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load_encoder(build(shape), **{"preset": "imagenet", **given})
    assert "\n" not in str(caught.value) and "means.onnx" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", "{damaged"])
def test_damaged_sidecar(build: Build, text: str) -> None:
    path = build()
    path.with_suffix(".json").write_text(text)
    with pytest.raises(ModelError, match=r"means\.json: not a JSON object"):
        load_encoder(path)


def save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> Path:
    graph = onnx.helper.make_graph(nodes, "g", inputs, outputs)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_two_inputs_and_no_embedding(tmp_path: Path) -> None:
    node, tensor = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    image, words = tensor("pixels", 1, ["n", 3, 8, 8]), tensor("words", 7, ["n", 4])
    both = [node("Identity", ["pixels"], ["a"]), node("Identity", ["words"], ["b"])]
    two = save(tmp_path / "two.onnx", both, [image, words], [tensor("a", 1, None), tensor("b", 7, None)])
    with pytest.raises(ModelError, match=r"takes 2 inputs .*pixels.*words"):
        load_encoder(two, preset="clip")
    tokens = [node("Flatten", ["pixels"], ["flat"]), node("Size", ["pixels"], ["count"])]
    odd = save(tmp_path / "odd.onnx", tokens, [image], [tensor("count", 7, []), tensor("flat", 1, ["n", 192])])
    with pytest.raises(ModelError, match=r'output count is \(\).*"output" in odd.json: count.*flat'):
        load_encoder(odd, preset="clip")
    assert load_encoder(odd, preset="clip", output="flat").dim == 192


def test_an_input_that_is_no_image(tmp_path: Path) -> None:
    node, tensor = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    path = tmp_path / "words.onnx"
    save(path, [node("Identity", ["a"], ["b"])], [tensor("a", 7, ["n", 4])], [tensor("b", 7, None)])
    with pytest.raises(ModelError, match=r"words.onnx: takes no image \(a: tensor\(int64\) \(\?, 4\)\)"):
        load_encoder(path)


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    node, tensor = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [node("Log", ["image"], ["log"]), node("Flatten", ["log"], ["out"])]
    path = save(tmp_path / "log.onnx", nodes, [tensor("image", 1, ["n", 3, 8, 8])], [tensor("out", 1, None)])
    with pytest.raises(ModelError, match="no numbers"):
        load_encoder(path, preset="imagenet")


def test_a_twinpix_model_takes_no_settings() -> None:
    with pytest.raises(InputError, match="brings its own preprocessing, so preset"):
        load_encoder(None, preset="clip")
