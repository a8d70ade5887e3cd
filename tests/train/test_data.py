"""Reading training pictures: folders, shards, damage, near twins."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from twinpix.encoder.errors import InputError
from twinpix.encoder.preprocess import Preprocess
from twinpix.train import data
from twinpix.train.data import Pictures, identities, load_pictures, twins_among


def picture(pictures: Pictures, i: int) -> Image.Image:
    return Image.fromarray(pictures.pixels[i].permute(1, 2, 0).numpy())


def file_bytes(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def album(tmp_path: Path, toy: Pictures) -> Path:
    """Six pictures in two folders, one of them without an extension."""
    root = tmp_path / "album"
    (root / "deep" / "er").mkdir(parents=True)
    for i in range(4):
        picture(toy, i).save(root / f"{i}.png")
    picture(toy, 4).save(root / "deep" / "er" / "4.webp", lossless=True)
    (root / "deep" / "five").write_bytes(file_bytes(picture(toy, 5)))
    return root


def shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        tar.addfile(_folder("folder"))
    return path


def _folder(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


def same_rows(a: torch.Tensor, b: torch.Tensor) -> bool:
    return sorted(row.numpy().tobytes() for row in a) == sorted(row.numpy().tobytes() for row in b)


def test_folder(album: Path, toy: Pictures) -> None:
    found = load_pictures([album], 48)
    assert len(found) == 6
    assert found.skipped == 0
    assert found.pixels.dtype == torch.uint8
    assert found.pixels.is_shared()  # type: ignore[no-untyped-call]
    assert same_rows(found.pixels, toy.pixels[:6])
    assert sorted(Path(name).name for name in found.names) == ["0.png", "1.png", "2.png", "3.png", "4.webp", "five"]


def test_pictures_pass_the_one_preprocessing(album: Path) -> None:
    found = load_pictures([album / "2.png"], 20)
    assert np.array_equal(found.pixels[0].numpy(), Preprocess(20)(Image.open(album / "2.png")))


def test_shard(tmp_path: Path, toy: Pictures) -> None:
    tar = shard(tmp_path / "a.tar", {f"x/{i}.png": file_bytes(picture(toy, i)) for i in range(4)})
    found = load_pictures([tar], 48)
    assert found.names == ("x/0.png", "x/1.png", "x/2.png", "x/3.png")
    assert torch.equal(found.pixels, toy.pixels[:4])


def test_sources_add_up(album: Path, tmp_path: Path, toy: Pictures) -> None:
    tar = shard(tmp_path / "a.tar", {"9.png": file_bytes(picture(toy, 9))})
    assert len(load_pictures([album, tar], 48)) == 7


def test_more_pictures_than_are_read_at_once_keep_their_order(tmp_path: Path) -> None:
    flat = {f"{i:03}": file_bytes(Image.new("RGB", (4, 4), (i % 256, i // 256, 7)), "BMP") for i in range(600)}
    found = load_pictures([shard(tmp_path / "a.tar", flat)], 4)
    assert found.names == tuple(flat)
    assert (found.pixels[:, 0, 0, 0] + 256 * found.pixels[:, 1, 0, 0].int()).tolist() == list(range(600))


def test_shards_are_not_read_whole_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, taken, lead = file_bytes(Image.new("RGB", (4, 4)), "BMP"), [0], [0]
    done = [0]

    def items(sources: object) -> Iterator[tuple[str, bytes]]:
        for i in range(1500):
            taken[0] += 1
            lead[0] = max(lead[0], taken[0] - done[0])
            yield str(i), content

    decode = data.decode  # type: ignore[attr-defined]

    def counted(source: bytes, at_least: int) -> Image.Image:
        done[0] += 1
        return decode(source, at_least)

    monkeypatch.setattr(data, "_items", items)
    monkeypatch.setattr(data, "decode", counted)
    assert len(load_pictures([tmp_path], 4)) == 1500
    assert lead[0] <= 300


def test_damaged_members_are_counted(album: Path, tmp_path: Path, toy: Pictures) -> None:
    good = file_bytes(picture(toy, 7))
    members = {"good": good, "half": good[: len(good) // 2], "empty": b"", "note.txt": b"no picture", "head": good[:30]}
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    found = load_pictures([album, shard(tmp_path / "a.tar", members)], 48)
    assert len(found) == 7
    assert found.skipped == 5


@pytest.mark.parametrize("limit, stems", [(1, "9"), (3, "369"), (9, "123456789"), (10, "0123456789")])
def test_limit_takes_evenly_from_all_sources(limit: int, stems: str, tmp_path: Path, toy: Pictures) -> None:
    (tmp_path / "a").mkdir()
    for i in range(4):
        picture(toy, i).save(tmp_path / "a" / f"{i}.png")
    tar = shard(tmp_path / "b.tar", {f"{i}.png": file_bytes(picture(toy, i)) for i in range(4, 10)})
    found = load_pictures([tmp_path / "a", tar], 8, limit=limit)
    assert "".join(Path(name).stem for name in found.names) == stems
    assert len(found) == limit


@pytest.mark.parametrize("name", ["nowhere", "nowhere.tar"])
def test_missing_source(name: str, album: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{name}: no such folder or \.tar shard"):
        load_pictures([album, tmp_path / name], 48)


def test_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no picture")
    with pytest.raises(InputError, match="no readable image"):
        load_pictures([tmp_path], 48)


@pytest.mark.parametrize("damage", ["no tar", "cut"])
def test_damaged_shard_is_a_named_error(damage: str, tmp_path: Path, toy: Pictures) -> None:
    tar = shard(tmp_path / "a.tar", {f"{i}.png": file_bytes(picture(toy, i)) for i in range(4)})
    tar.write_bytes(b"no tar" * 500 if damage == "no tar" else tar.read_bytes()[:900])
    with pytest.raises(InputError, match=r"a\.tar: not a readable \.tar shard"):
        load_pictures([tar], 48)


def test_near_twins_share_one_identity(tmp_path: Path, toy: Pictures) -> None:
    for i in range(5):
        picture(toy, i).save(tmp_path / f"{i}-a.png")
    picture(toy, 1).save(tmp_path / "1-b.jpg", quality=80)
    brighter = picture(toy, 3).point([min(255, int(30 + 0.8 * level)) for level in range(256)] * 3)
    brighter.save(tmp_path / "3-b.png")
    picture(toy, 3).save(tmp_path / "3-c.webp", quality=85)
    found = load_pictures([tmp_path], 48)
    shown = [Path(name).name[0] for name in found.names]
    groups = {identity: {shown[i] for i in range(8) if found.identity[i] == identity}
              for identity in found.identity.tolist()}  # fmt: skip
    assert len(groups) == 5
    assert all(len(group) == 1 for group in groups.values())


def test_identities_chain_and_take_the_smallest_number() -> None:
    # 0-2 and 2-4 are close, 0-4 are not: one identity all the same; two blocks of 1024 are crossed
    numbers = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (1030, 3, 32, 32), generator=numbers, dtype=torch.uint8)
    mixed = [pixels[0].float(), pixels[1029].float()]
    pixels[700] = (0.5 * (mixed[0] + mixed[1])).to(torch.uint8)
    thumbs = data._structures(pixels)
    assert thumbs[0] @ thumbs[1029] < 0.5 < thumbs[700] @ thumbs[0]
    identity = identities(pixels, threshold=0.5)
    assert identity[[0, 700, 1029]].tolist() == [0, 0, 0]
    rest = torch.ones(1030, dtype=torch.bool)
    rest[[0, 700, 1029]] = False
    assert torch.equal(identity[rest], torch.arange(1030)[rest])


def test_twins_among(toy: Pictures) -> None:
    copy = np.asarray(picture(toy, 3).resize((40, 40)).resize((48, 48)))
    pixels = torch.cat([toy.pixels[:2], torch.from_numpy(copy.transpose(2, 0, 1).copy())[None]])
    assert twins_among(pixels, toy.pixels[1:10]).tolist() == [False, True, True]
