"""What the service says and does, asked over loopback."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from twinpix.pipeline.library.library import Library
from twinpix.pipeline.relation.kinds import Kind

Draw = Callable[..., bytes]
STRICT = "?threshold=0.5&verify=true"  # drawn pictures are all alike to the encoder: nobody is to look at sixty of them


def name_of(data: bytes) -> str:
    """The id of a picture."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def test_a_copy_is_found_with_distance_relation_and_threshold(served: Any, draw: Draw) -> None:
    original = draw(1)
    assert served.add(original, STRICT).status_code == 201
    copy = draw(1, "JPEG", (160, 120), quality=85)
    answer = served.check(copy, STRICT, "image/jpeg")
    (match,) = answer["matches"]
    assert answer["duplicate"] is True and answer["threshold"] == 0.5
    assert match["id"] == name_of(original) and 0 < match["distance"] < 0.5
    assert match["second_look"] == "confirmed" and match["original"] == "match"
    assert match["relation"] in set(Kind) and "the upload is" in match["sentence"]
    assert answer["picture"] == {"format": "JPEG", "width": 160, "height": 120, "bytes": len(copy)}
    assert not served.check(draw(2), STRICT)["duplicate"]


def test_by_default_the_threshold_is_calibrated_and_near_pictures_are_looked_at(served: Any, draw: Draw) -> None:
    served.add(draw(3), STRICT)
    answer = served.check(draw(3, "WEBP", quality=80), kind="image/webp")
    assert answer["duplicate"] and answer["threshold"] > answer["unverified_threshold"] > 0
    assert all(match["relation"] != "different" for match in answer["matches"] + answer["near"])


def test_forms_and_raw_bytes_are_answered_alike(served: Any, draw: Draw) -> None:
    data = draw(1, "JPEG", quality=70)
    raw = served.check(data, STRICT, "application/octet-stream")
    form = served.ask("POST", f"/check{STRICT}", files={"image": ("a\0b.jpg", data, "image/jpeg")})
    assert form.status_code == 200 and form.json() == raw


def test_checking_changes_nothing(served: Any, draw: Draw) -> None:
    before = served.ask("GET", "/health").json()["images"]
    served.check(draw(77), STRICT)
    assert served.ask("GET", "/health").json()["images"] == before
    assert not served.check(draw(77), STRICT)["duplicate"]


def test_adding_is_idempotent_and_forgetting_undoes_it(served: Any, draw: Draw) -> None:
    data, name = draw(10), name_of(draw(10))
    first, second = served.add(data, STRICT), served.add(data, STRICT)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"] == name
    assert (first.json()["added"], second.json()["added"]) == (True, False)
    assert second.json()["duplicate"] and not second.json()["matches"], "these bytes are here already"
    (kept,) = (served.library / "uploads").glob(f"*/{name}.png")
    assert kept.read_bytes() == data
    gone = served.ask("DELETE", f"/images/{name}")
    assert gone.status_code == 200 and gone.json() == {"schema": 1, "id": name, "forgotten": 1, "deleted": 1}
    assert not kept.exists() and not served.check(data, STRICT)["duplicate"]
    assert served.ask("DELETE", f"/images/{name}").status_code == 404
    assert served.add(data, STRICT).status_code == 201  # its vector is still known: it comes back all the same
    assert served.check(data, STRICT)["matches"][0]["relation"] == "identical file"


def test_of_two_uploads_at_once_exactly_one_sees_the_other(served: Any, draw: Draw) -> None:
    def together(*uploads: bytes) -> list[Any]:
        with ThreadPoolExecutor(len(uploads)) as pool:
            return list(pool.map(lambda data: served.add(data, STRICT), uploads))

    for seed in range(20, 24):
        one, other = draw(seed), draw(seed, "JPEG", (180, 135), quality=90)
        answers = together(one, other)
        assert [answer.status_code for answer in answers] == [201, 201]
        seen = [
            name_of(theirs) in {match["id"] for match in answer.json()["matches"]}
            for answer, theirs in zip(answers, (other, one), strict=True)
        ]
        assert sorted(seen) == [False, True]
    same = together(*[draw(30)] * 4)
    assert sorted(answer.status_code for answer in same) == [200, 200, 200, 201]


def test_search_lists_the_nearest_by_distance(served: Any, draw: Draw) -> None:
    original, copy = draw(40), draw(40, "JPEG", quality=80)
    for data in (original, copy):
        served.add(data, STRICT)
    found = served.ask("GET", f"/search?id={name_of(original)}&k=3").json()
    assert found["nearest"][0]["id"] == name_of(copy) and found["nearest"][0]["duplicate"]
    assert len(found["nearest"]) == 3
    distances = [one["distance"] for one in found["nearest"]]
    assert distances == sorted(distances)
    assert served.ask("GET", f"/search?id={'0' * 32}").status_code == 404


def test_a_picture_whose_file_is_gone_is_matched_by_distance_with_a_note(served: Any, draw: Draw) -> None:
    served.add(draw(50), STRICT)
    (kept,) = (served.library / "uploads").glob(f"*/{name_of(draw(50))}.png")
    kept.unlink()
    (match,) = served.check(draw(50, "BMP"), STRICT, "image/bmp")["matches"]
    assert "gone" in match["note"] and match["relation"] is None
    assert served.add(draw(50), STRICT).status_code == 200 and kept.exists()  # and an upload brings it back


def test_an_identical_file_that_is_gone_or_replaced_is_said_to_be(served: Any, draw: Draw, tmp_path: Path) -> None:
    gone, replaced = tmp_path / "gone.png", tmp_path / "replaced.png"
    gone.write_bytes(draw(52))
    replaced.write_bytes(draw(53))
    Library(served.library).add(gone, replaced)
    for seed in (52, 53):  # seen first: what another process adds need not be known at once
        assert served.ask("GET", f"/search?id={name_of(draw(seed))}").status_code == 200
    assert served.check(draw(52), STRICT)["matches"][0]["relation"] == "identical file"
    gone.unlink()
    replaced.write_bytes(draw(54))
    for seed in (52, 53):
        for query in (STRICT, "?threshold=0.5&verify=false"):
            (match,) = served.check(draw(seed), query)["matches"]
            assert "gone, has changed" in match["note"] and match["relation"] is None


def test_health_metrics_openapi_and_page(served: Any) -> None:
    assert served.ask("GET", "/health").json()["status"] == "ok"
    metrics = served.ask("GET", "/metrics").text
    assert 'twinpix_requests_total{method="POST",route="/check",status="200"}' in metrics
    assert served.ask("GET", "/no/such/oddity").status_code == 404
    assert "oddity" not in served.ask("GET", "/metrics").text
    document = served.ask("GET", "/openapi.json").json()
    assert set(document["paths"]) == {"/check", "/images", "/images/{id}", "/search", "/health", "/metrics"}
    kinds = document["paths"]["/check"]["post"]["requestBody"]["content"]
    assert set(kinds) == {"multipart/form-data", "image/*", "application/octet-stream"}
    page = served.ask("GET", "/")
    assert page.headers["content-type"].startswith("text/html")
    assert all(path in page.text for path in document["paths"])
    assert "<script" not in page.text and "http" not in page.text.replace(served.address, "")


def test_what_another_process_adds_is_seen_and_its_files_are_never_deleted(
    served: Any, draw: Draw, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    photo = tmp_path / "photos" / "holiday.png"
    photo.write_bytes(draw(60))
    Library(served.library).add(tmp_path / "photos")
    assert served.ask("GET", f"/search?id={name_of(draw(60))}").status_code == 200
    answer = served.check(draw(60, "JPEG", quality=85), STRICT, "image/jpeg")
    assert [match["name"] for match in answer["matches"]] == ["holiday.png"]
    assert str(tmp_path) not in str(answer)
    gone = served.ask("DELETE", f"/images/{name_of(draw(60))}").json()
    assert (gone["forgotten"], gone["deleted"]) == (1, 0) and photo.exists()
    assert not served.check(draw(60), STRICT)["duplicate"]


def test_while_another_process_writes_uploads_are_told_to_come_back(served: Any, draw: Draw) -> None:
    with Library(served.library).writing():
        busy = served.add(draw(61), STRICT)
        assert busy.status_code == 503 and busy.json()["reason"] == "library_busy" and busy.headers["retry-after"]
        assert served.ask("POST", f"/check{STRICT}", content=draw(1), headers={"content-type": "image/png"}).json()[
            "duplicate"
        ]
    assert served.add(draw(61), STRICT).status_code == 201


def test_what_a_person_has_called_different_is_no_duplicate(served: Any, draw: Draw) -> None:
    from twinpix.pipeline.decisions import Content, Verdict, decide

    one, other = draw(62), draw(62, "JPEG", quality=85)
    served.add(one, STRICT)
    assert served.check(other, STRICT, "image/jpeg")["duplicate"]
    pair = Content(name_of(one), len(one)), Content(name_of(other), len(other))
    decide([pair], Verdict.DIFFERENT, served.library.parent / "data" / "decisions.jsonl")
    answer = served.check(other, STRICT, "image/jpeg")
    assert not answer["duplicate"] and "called these two different" in answer["near"][0]["note"]


def test_killed_in_the_middle_of_uploads_it_loses_none_that_it_confirmed(
    serve: Any, draw: Draw, tmp_path: Path
) -> None:
    library, confirmed = tmp_path / "library", list[str]()
    for run in range(2):
        with serve(library) as running, ThreadPoolExecutor(3) as pool:

            def add(seed: int, running: Any = running, enough: int = 6 * (run + 1)) -> None:
                try:
                    answer = running.add(draw(seed), "?verify=false")
                except Exception:  # it was killed
                    return
                if answer.status_code == 201:
                    confirmed.append(answer.json()["id"])
                if len(confirmed) == enough:
                    running.process.kill()

            list(pool.map(add, range(100 * run, 100 * run + 14)))
            running.process.wait(10)
    (library / "uploads" / "00").mkdir(exist_ok=True)
    (library / "uploads" / "00" / f"{'00' * 16}.part").write_bytes(b"half")
    whole = name_of(draw(999))  # it was killed before the library knew this one
    (library / "uploads" / whole[:2]).mkdir(exist_ok=True)
    (library / "uploads" / whole[:2] / f"{whole}.png").write_bytes(draw(999))
    (library / "uploads" / whole[:2] / f"{whole}.unknown").touch()
    with serve(library) as running:
        assert "had not finished are added" in running.said
        for name in confirmed:
            assert running.ask("GET", f"/search?id={name}").status_code == 200
        assert running.stop() == 0
    assert not list((library / "uploads").rglob("*.part"))
    stored = {path.stem for path in (library / "uploads").glob("??/*")}
    assert whole in stored
    assert stored == {path.stem for path in Library(library).embeddings().paths} and set(confirmed) <= stored


def test_without_the_extra_one_line_names_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['prometheus_client'] = None\nfrom importlib import util\n" \
           "real = util.find_spec\nimport twinpix.pipeline.service.cli as cli\n" \
           "cli.find_spec = lambda name: None if name == 'prometheus_client' else real(name)\n" \
           "from twinpix.pipeline.cli import app; app(['serve'])"  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=dict(os.environ), check=False
    )
    assert (
        done.returncode == 2 and "pip install 'twinpix[cpu,service]'" in done.stderr and "Traceback" not in done.stderr
    )


@pytest.mark.parametrize("name", ["photos", "nearly"])
def test_a_folder_with_other_files_is_never_a_store(tmp_path: Path, name: str) -> None:
    from twinpix.encoder.errors import InputError
    from twinpix.pipeline.service.uploads import Uploads

    (tmp_path / name).mkdir()
    (tmp_path / name / "a.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match="holds other files"):
        Uploads(tmp_path / name)
