"""RDMs from every kind of file that users bring; what is no RDM is one clear error."""

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.distance import pdist, squareform

from gqn_probe.analysis.rsa.rdm import Rdms, as_vectors, match_ids
from gqn_probe.analysis.rsa.rdm_files import read_rdms, write_rdms

IDS = ("test-0", "test-1", "test-2", "test-3", "test-4")
RNG = np.random.default_rng(0)
VECTORS = np.stack([pdist(RNG.normal(size=(5, 3))) for _ in range(3)])
SQUARES = np.stack([squareform(vector) for vector in VECTORS])


def test_what_is_written_is_read_back(tmp_path: Path):
    path = write_rdms(Rdms(VECTORS, ("a", "b", "ö"), IDS), tmp_path / "rdms")
    found = read_rdms(path)
    assert path.name == "rdms.h5"
    np.testing.assert_allclose(found.vectors[:, 0], VECTORS)
    assert found.conditions == IDS
    assert found.subjects[:2] == ("a", "b")
    other = read_rdms(tmp_path / "rdms.npz")
    np.testing.assert_allclose(other.vectors[:, 0], VECTORS, rtol=1e-6)
    assert other.conditions == IDS


@pytest.mark.slow
def test_rsatoolbox_reads_what_is_written(tmp_path: Path):
    rdm = pytest.importorskip("rsatoolbox.rdm")
    found = rdm.load_rdm(str(write_rdms(Rdms(VECTORS, ("a", "b", "ö"), IDS), tmp_path / "rdms")))
    np.testing.assert_allclose(found.dissimilarities, VECTORS)
    assert list(found.pattern_descriptors["stimulus"]) == list(IDS)
    theirs = tmp_path / "theirs.h5"
    rdm.RDMs(VECTORS, rdm_descriptors={"subject": ["x", "y", "z"]}, pattern_descriptors={"conds": list(IDS)}).save(
        str(theirs), file_type="hdf5"
    )
    read = read_rdms(theirs)
    np.testing.assert_allclose(read.vectors[:, 0], VECTORS)
    assert (read.subjects, read.conditions) == (("x", "y", "z"), IDS)


@pytest.mark.parametrize("array", [SQUARES, VECTORS, np.moveaxis(SQUARES, 0, -1), SQUARES[:, None]])
def test_arrays_of_subjects(tmp_path: Path, array: np.ndarray):
    np.save(tmp_path / "brain.npy", array)
    (tmp_path / "brain.txt").write_text("\n".join(IDS) + "\n")
    found = read_rdms(tmp_path / "brain.npy")
    np.testing.assert_allclose(found.vectors[:, 0], VECTORS)
    assert found.conditions == IDS


def test_times_of_as_many_subjects(tmp_path: Path):
    """(subject, time, n, n) where there are as many times as subjects."""
    np.savez(tmp_path / "meg.npz", rdms=np.stack([SQUARES, 2 * SQUARES, 3 * SQUARES]), ids=IDS)
    found = read_rdms(tmp_path / "meg.npz")
    np.testing.assert_allclose(found.vectors, np.stack([VECTORS, 2 * VECTORS, 3 * VECTORS]))


def test_matlab_struct_arrays(tmp_path: Path):
    structs = np.array([{"RDM": m, "name": f"s{i}", "color": [0, 0, 1]} for i, m in enumerate(SQUARES)], dtype=object)
    savemat(tmp_path / "v5.mat", {"RDMs": structs, "stimuli": np.array(IDS, dtype=object)})
    found = read_rdms(tmp_path / "v5.mat")
    np.testing.assert_allclose(found.vectors[:, 0], VECTORS)
    assert (found.subjects, found.conditions) == (("s0", "s1", "s2"), IDS)


def test_matlab_version_7_3(tmp_path: Path):
    with h5py.File(tmp_path / "v73.mat", "w", userblock_size=512) as file:
        fields = {"RDM": [*SQUARES], "name": [np.array([[ord(c)] for c in f"s{i}"], np.uint16) for i in range(3)]}
        for name, values in fields.items():
            references = []
            for i, value in enumerate(values):
                item = file.create_dataset(f"#refs#/{name}{i}", data=value)
                if name == "name":
                    item.attrs["MATLAB_class"] = np.bytes_("char")
                references.append(item.ref)
            file.create_dataset(f"RDMs/{name}", data=np.array(references, dtype=h5py.ref_dtype)[:, None])
    with (tmp_path / "v73.mat").open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file")
    found = read_rdms(tmp_path / "v73.mat")
    np.testing.assert_allclose(found.vectors[:, 0], VECTORS)
    assert found.subjects == ("s0", "s1", "s2")


def test_matlab_array_under_a_name(tmp_path: Path):
    savemat(tmp_path / "92.mat", {"EVC_RDMs": SQUARES, "IT_RDMs": 2 * SQUARES})
    with pytest.raises(ValueError, match=r"several RDMs: choose one of EVC_RDMs, IT_RDMs by analysis\.key"):
        read_rdms(tmp_path / "92.mat")
    np.testing.assert_allclose(read_rdms(tmp_path / "92.mat", "IT_RDMs").vectors[:, 0], 2 * VECTORS)


def test_meadows(tmp_path: Path):
    names = [f"{name}.png" for name in IDS]
    savemat(tmp_path / "one.mat", {"rdmutv": VECTORS[0], "stimuli": np.array(names)})
    several = {f"rdmutv_{who}": v for who, v in zip(("calm_fox", "bold_hen"), VECTORS[:2], strict=True)}
    several |= {f"stimuli_{who}": np.array(names) for who in ("calm_fox", "bold_hen")}
    savemat(tmp_path / "more.mat", several)
    task = {"task": {"task_type": "multiarrange", "name": "arrange"}, "stimuli": [{"name": n} for n in names]}
    tasks = [{"task": {"task_type": "consent"}}, task | {"rdm": VECTORS[2].tolist()}]
    (tmp_path / "one.json").write_text(json.dumps({"tasks": tasks}))
    np.testing.assert_allclose(read_rdms(tmp_path / "one.mat").vectors[0, 0], VECTORS[0])
    np.testing.assert_allclose(read_rdms(tmp_path / "more.mat").vectors[:, 0], VECTORS[[1, 0]])
    found = read_rdms(tmp_path / "one.json")
    np.testing.assert_allclose(found.vectors[0, 0], VECTORS[2])
    assert match_ids(IDS, found.conditions, "it") == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])


def test_csv_with_ids(tmp_path: Path):
    rows = [
        ",".join(["", *IDS]),
        *(",".join([name, *map(str, row)]) for name, row in zip(IDS, SQUARES[0], strict=True)),
    ]
    (tmp_path / "one.csv").write_text("\n".join(rows))
    found = read_rdms(tmp_path / "one.csv")
    np.testing.assert_allclose(found.vectors[0, 0], VECTORS[0])
    assert found.conditions == IDS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m + np.triu(m), "not symmetric"),
        (lambda m: 2 - m, "on its diagonal, expected 0: are these similarities"),
        (lambda m: np.where(m > 1, np.nan, m), "not finite"),
        (lambda m: m[:, :, :4], "10|square|not all pairs"),
    ],
)
def test_what_is_no_rdm_is_refused(tmp_path: Path, change, message: str):
    np.save(tmp_path / "brain.npy", change(SQUARES))
    with pytest.raises(ValueError, match=message):
        read_rdms(tmp_path / "brain.npy")


def test_pickle_is_never_read(tmp_path: Path):
    (tmp_path / "rdms.pkl").write_bytes(pickle.dumps({"dissimilarities": VECTORS}))
    np.save(tmp_path / "objects.npy", np.array([{"RDM": 1}], dtype=object))
    for name, message in (
        ("rdms.pkl", "is a pickle"),
        ("objects.npy", "no array of numbers"),
        ("no.h5", "does not exist"),
    ):
        with pytest.raises(ValueError, match=message):
            read_rdms(tmp_path / name)


def test_ids_are_matched_by_name_whatever_their_order():
    places = match_ids(IDS, ("test-4.png", "other.png", *IDS[:4]), "it")
    assert places == ([0, 1, 2, 3, 4], [2, 3, 4, 5, 0])
    with pytest.raises(ValueError, match="shares 0 ids"):
        match_ids(IDS, ("a", "b", "c", "d"), "it")
    with pytest.raises(ValueError, match="test-0 occurs twice"):
        match_ids(IDS, ("test-0", "test-0", "c", "d"), "it")


def test_the_vector_is_scipys():
    np.testing.assert_array_equal(as_vectors(SQUARES, "it"), VECTORS)
