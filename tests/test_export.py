"""What other programs read: the same numbers, under the same names, in every format."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy.io import loadmat

from gqn_probe import export

R = {count: np.random.default_rng(count).normal(size=(5, 3)).astype(np.float32) for count in (2, 10)}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two jobs of a sweep, the greater count first; one that failed."""
    for place, count in enumerate((10, 2)):
        job = tmp_path / str(place)
        job.mkdir()
        views = np.arange(16)[None].repeat(5, axis=0) < count
        save_file(
            {"representation": R[count], "views": views, "scenes": np.arange(5)}, job / "representation.safetensors"
        )
        (job / "job.json").write_text(json.dumps({"count": count}))
    (tmp_path / "2").mkdir()
    return tmp_path


def test_counts_are_in_order(study: Path):
    arrays = export.collect(study)
    assert arrays["counts"].tolist() == [2, 10]
    np.testing.assert_array_equal(arrays["representation"], np.stack([R[2], R[10]], axis=1))
    assert arrays["views"].sum(axis=2).tolist() == [[2, 10]] * 5


def test_matlab_and_numpy_read_the_same(study: Path):
    files = {path.name: path for path in export.export(study, ["mat", "npy"])}
    assert set(files) == {"representation.mat"} | {
        f"representation_{name}.npy" for name in ("counts", "representation", "views")
    }
    read = loadmat(files["representation.mat"])
    np.testing.assert_array_equal(read["representation"], np.load(files["representation_representation.npy"]))
    assert read["counts"].ravel().tolist() == [2, 10]


def test_hdf5_reads_the_same(study: Path):
    h5py = pytest.importorskip("h5py")
    (path,) = export.export(study, ["h5"], out=study / "elsewhere")
    assert path == study / "elsewhere" / "representation.h5"
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["representation"][:, 1], R[10])
        assert file["views"].dtype == bool


def test_parquet_has_a_row_a_scene_and_count(study: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    (path,) = export.export(study, ["parquet"])
    rows = parquet.read_table(path).to_pylist()
    assert [(row["scene"], row["count"]) for row in rows[:3]] == [(0, 2), (0, 10), (1, 2)]
    np.testing.assert_array_equal(rows[3]["representation"], R[10][1])
    assert sum(rows[3]["views"]) == 10


def test_features_keep_scene_and_view(tmp_path: Path):
    features = np.random.default_rng(0).normal(size=(4, 6, 2, 3)).astype(np.float32)
    np.save(tmp_path / "layer.gathered.npy", features)
    (path,) = export.export(tmp_path, ["mat"])
    assert path.name == "features.mat"
    np.testing.assert_array_equal(loadmat(path)["layer_gathered"], features)


def test_what_cannot_be_exported_is_said_in_a_line(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(SystemExit, match=r"error: .* holds no representation\.safetensors or features"):
        export.main([str(tmp_path / "2"), "--to", "mat"])
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(SystemExit, match=r'error: --to h5 needs h5py: pip install "gqn-probe\[hdf5\]"'):
        export.main([str(study), "--to", "h5"])
    monkeypatch.setattr(export, "LARGEST_MAT", 10)
    with pytest.raises(SystemExit, match=r"more than a \.mat of version 5 holds: use --to h5"):
        export.main([str(study), "--to", "mat"])
