"""Features of another network: files that say the same are read alike, bad ones refused; planted answers are found."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from scripts import read_table

from gqn_probe.analysis import StudyInputs, StudySettings, run_count, run_study
from gqn_probe.analysis.inputs import feature_file, feature_formats
from gqn_probe.analysis.inputs.feature_file import FeatureFile, read_features, shared_scenes
from gqn_probe.data import encode_cameras
from gqn_probe.types import Scenes

from ..conftest import CONTROLS

NAMES = np.array(["b", "a", "d", "c"])
GENERATOR = np.random.default_rng(0)
VIEWS = GENERATOR.normal(size=(4, 3, 2, 5)).astype(np.float32)  # of patches, say
LAYER = GENERATOR.normal(size=(4, 3, 7)).astype(np.float16)


def write(path: Path, **arrays: np.ndarray) -> Path:
    """The arrays in the format of the file's extension."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)  # pyright: ignore[reportArgumentType]
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array.astype(bytes) if array.dtype.kind == "U" else array
    else:
        names = json.dumps(arrays.pop("names").tolist())
        save_file(arrays, path, metadata={"names": names})
    return path


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".safetensors"])
def test_every_format_gives_the_scenes_that_are_asked_for(tmp_path: Path, suffix: str):
    path = write(tmp_path / f"dino{suffix}", features=VIEWS, block_3=LAYER, names=NAMES)
    found = read_features(path, ("a", "c", "b"))
    assert found.scenes == ("a", "c", "b")
    assert found.readouts == ["whole", "layer.block_3", "pixels", "cameras"]
    np.testing.assert_array_equal(found.features("whole"), VIEWS[[1, 3, 0]].reshape(3, 3, 10))
    np.testing.assert_array_equal(found.features("layer.block_3"), LAYER[[1, 3, 0]])
    assert read_features(path).fingerprint != found.fingerprint
    assert shared_scenes(path, ["z", "d", "c", "y", "a", "b"], 3).tolist() == [1, 2, 4]


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".h5", ".safetensors"])
def test_a_copy_in_the_cache_is_mapped_and_made_once(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feature_file, "READ_SCENES", 2)  # several chunks
    path = tmp_path / f"dino{suffix}"
    if suffix == ".npy":
        np.save(path, VIEWS)
        path.with_suffix(".txt").write_text("\n".join(NAMES))
    else:
        write(path, features=VIEWS, names=NAMES)
    mapped, held = (read_features(path, ("a", "c", "b"), cache=cache) for cache in (tmp_path / "cache", None))
    np.testing.assert_array_equal(mapped.features("whole"), VIEWS[[1, 3, 0]].reshape(3, 3, 10))
    assert mapped.fingerprint == held.fingerprint
    (copy,) = (tmp_path / "cache").rglob("*.npy")
    made = copy.stat().st_mtime_ns
    read_features(path, ("a", "c", "b"), cache=tmp_path / "cache")
    assert copy.stat().st_mtime_ns == made
    read_features(path, ("a", "b"), cache=tmp_path / "cache")
    assert len([*(tmp_path / "cache").rglob("*.npy")]) == 2


def test_compressed_arrays_are_read_forward_and_again_from_the_start(tmp_path: Path):
    np.savez_compressed(tmp_path / "x.npz", features=VIEWS, fortran=np.asfortranarray(VIEWS))
    with feature_formats.open_features(tmp_path / "x.npz") as (arrays, _):
        for rows in (slice(1, 2), slice(3, 4), slice(0, 3)):
            for array in arrays.values():
                np.testing.assert_array_equal(array[rows], VIEWS[rows])


def test_names_may_stand_in_a_file_beside(tmp_path: Path):
    path = write(tmp_path / "dino.npz", tokens=VIEWS)
    (tmp_path / "dino.txt").write_text("b\na\nd\nc\n")
    assert read_features(path).scenes == ("b", "a", "d", "c")


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"features": VIEWS}, "does not say which scene is which: add an array names of their names, or a file x.txt"),
        ({"features": VIEWS, "names": NAMES[:3]}, "has 3 names for 4 scenes"),
        ({"features": VIEWS, "names": NAMES[[0, 0, 1, 2]]}, "has the scene b twice"),
        ({"one": VIEWS, "two": LAYER, "names": NAMES}, "has one, two: call what is summed features, others are layers"),
        ({"features": VIEWS[:, 0, 0], "names": NAMES}, r"shape \(4, 5\): reshape it to scenes, views, numbers"),
        ({"features": VIEWS, "b": LAYER[:, :2], "names": NAMES}, "b is of 4 scenes of 2 views, features of 4 of 3"),
        ({"features": np.full_like(VIEWS, np.nan), "names": NAMES}, "holds numbers that are not finite"),
        ({"features": VIEWS.astype(str), "names": NAMES}, "is of type <U32, expected numbers"),
        ({"features": VIEWS.astype(object), "names": NAMES}, "cannot be read: Object arrays"),
        ({"names": NAMES}, "holds no numbers: save an array of scenes, views and numbers as features"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_in_one_line(tmp_path: Path, arrays: dict, told: str):
    path = write(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=told) as raised:
        read_features(path)
    assert str(raised.value).startswith(f"features={path}")
    assert "\n" not in str(raised.value)


def test_other_files_and_other_scenes_are_refused(tmp_path: Path):
    (tmp_path / "x.npz").write_bytes(b"not a zip")
    for name, told in {
        "x.npz": "cannot be read",
        "y.npz": "does not exist",
        "x.pkl": "has an unknown format",
        "pretrained": "null studies a GQN",
    }.items():
        with pytest.raises(ValueError, match=told):
            read_features(tmp_path / name)
    path = write(tmp_path / "z.npz", features=VIEWS, names=NAMES)
    with pytest.raises(
        ValueError, match=r"shares 2 names with the scenes, at least 4 .* it has a, b, c, \.\.\., the sc"
    ):
        shared_scenes(path, ["a", "b", "x"], 10)


OBJECTS, COUNTS = 60, (2, 4, 6)


def studied(features: torch.Tensor, settings: StudySettings, folder: Path) -> dict[tuple[str, str, str, str], float]:
    """Values of a study of features alone, by target, control, probe and metric: of all counts, or of the largest."""
    names = tuple(f"scene-{i}" for i in range(OBJECTS))
    network = FeatureFile(Path("planted.npz"), names, {"whole": features}, has_images=False)
    scenes = Scenes(torch.zeros(OBJECTS, 6, 3, 1, 1, dtype=torch.uint8), torch.zeros(OBJECTS, 6, 5), names=names)
    inputs = StudyInputs(network, scenes, encode_cameras, "planted", folder / "cache", usable_views=6)
    jobs = [run_count(inputs, count, settings, folder / str(count)) for count in COUNTS]
    study = run_study(inputs, settings, jobs, folder / "study")
    (note,) = [n for n in json.loads((study / "summary.json").read_text())["notes"] if n.startswith("Controls")]
    assert note == "Controls untrained, pixels were left out: a file of features does not give them."
    rows = [r for r in read_table(study / "results.csv") if not r["seed"]]
    rows = [r for r in rows if r["count"] == ("" if r["target"] == "count" else str(COUNTS[-1]))]
    return {(r["target"], r["control"], r["probe"], r["metric"]): float(r["value"]) for r in rows}


@pytest.mark.slow
def test_what_is_planted_in_features_is_found_and_nothing_else(settings: StudySettings, tmp_path: Path):
    """Sums of non-negative features tell the count by a direction; of zero mean, by none. Known labels are read."""
    kind = torch.arange(OBJECTS) % 2
    table = "".join(f"scene-{i},{'cup' if k else 'pen'}\n" for i, k in enumerate(kind.tolist()))
    (tmp_path / "labels.csv").write_text(f"scene,kind\n{table}")
    controls = {name: CONTROLS[name] for name in ("none", "norm", "untrained", "pixels", "repeated")}
    settings = replace(
        settings, inputs=("whole", "pooled"), targets=("count", "kind"), labels=str(tmp_path / "labels.csv"),
        controls="all", control=controls, probes={"ridge": settings.probes["ridge"]}, seeds=2,
        train_objects=(), widths=(),
    )  # fmt: skip
    random, known = torch.rand(OBJECTS, 6, 24), torch.zeros(OBJECTS, 6, 24)
    known[:, :, 0] = kind[:, None].float()
    positive = studied(random + known, settings, tmp_path / "positive")
    known[:, :, 0] -= 0.5
    centred = studied(2 * random - 1 + 2 * known, settings, tmp_path / "centred")
    for found in (centred, positive):
        assert found["kind", "none", "ridge", "accuracy"] > 0.9
    for probe in ("ridge", "tally"):
        assert positive["count", "none", probe, "accuracy"] > 0.85
        assert centred["count", "none", probe, "accuracy"] < 0.55
    assert positive["count", "repeated", "tally", "accuracy"] > 0.7
