"""Files of RDMs: other people's in the usual formats are read, ours are written as rsatoolbox reads them.

Read: rsatoolbox ``.h5``; MATLAB ``.mat`` of any version (struct arrays with fields RDM and name, arrays, Meadows);
Meadows ``.json``; ``.npz`` and ``.npy`` of (n, n), (subject, n, n) or (subject, time, n, n), or vectors of upper
triangles; ``.csv`` of one matrix with ids in its first row and column. Pickle is never read: it can run code.
"""

import csv
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gqn_probe.analysis.rsa.rdm import Rdms, SubjectRdms, as_vectors, count_conditions
from gqn_probe.atomic_io import atomic_write, write_arrays

IDS = ("ids", "conditions", "stimuli", "stimulus", "conds", "labels", "names", "images")
HDF5 = b"\x89HDF\r\n\x1a\n"


def read_rdms(path: str | Path, key: str | None = None) -> SubjectRdms:
    """Read the RDMs of a file, by its extension.

    Args:
        key: which variable of a ``.mat`` or ``.npz`` file that has several.

    Raises:
        ValueError: the file is not there or not of a kind that is read, or its RDMs are not square, finite, symmetric
            and 0 on the diagonal.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist: give analysis.rdms a file of RDMs")
    if path.suffix in (".pkl", ".pickle"):
        raise ValueError(f"{path} is a pickle, which can run code: save it by rdms.save(NAME, file_type='hdf5')")
    readers: dict[str, Callable[[Path, str | None], SubjectRdms]] = {
        ".h5": _read_hdf5,
        ".hdf5": _read_hdf5,
        ".mat": _read_matlab,
        ".json": _read_meadows_json,
        ".npz": _read_npz,
        ".npy": _read_npy,
        ".csv": _read_csv,
    }
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path} has an unknown extension: use {', '.join(readers)}")
    try:
        return readers[path.suffix.lower()](path, key)
    except (OSError, KeyError, TypeError, IndexError, NotImplementedError) as error:
        raise ValueError(f"{path} holds no RDMs that can be read: {error}") from error


def write_rdms(rdms: Rdms, stem: Path) -> Path:
    """Write ``STEM.npz`` and, with h5py, ``STEM.h5`` for rsatoolbox's ``load_rdm``; return the last one written."""
    matrices = rdms.matrices().astype(np.float32)
    arrays = {"rdms": matrices, "names": np.array(rdms.names), "ids": np.array(rdms.conditions)}
    write_arrays(stem.with_suffix(".npz"), arrays)
    if importlib.util.find_spec("h5py") is None:
        return stem.with_suffix(".npz")
    import h5py

    with atomic_write(stem.with_suffix(".h5")) as draft, h5py.File(draft, "w") as file:
        file.attrs["rsatoolbox_version"] = "0.3.2"  # whose layout this is
        file.attrs["dissimilarity_measure"] = "see names"
        file["dissimilarities"] = rdms.vectors
        file.create_group("descriptors")
        for group, known in (
            ("rdm_descriptors", {"name": rdms.names, "index": range(len(rdms.names))}),
            ("pattern_descriptors", {"stimulus": rdms.conditions, "index": range(len(rdms.conditions))}),
        ):
            for name, values in known.items():
                # The library's reader takes bytes for ASCII and fails on others.
                cells = [_ascii(v) if isinstance(v, str) else v for v in values]
                file[f"{group}/{name}"] = np.array(cells)
    return stem.with_suffix(".h5")


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "backslashreplace")


def _subjects(
    array: Any, where: str, conditions: Sequence[str] = (), names: Sequence[str] = (), *, square: bool | None = None
) -> SubjectRdms:
    """Bring RDMs of any layout to (subject, time, pair): square if the last two axes are equal, else vectors."""
    array = np.asarray(array, dtype=np.float64)
    if square is None and array.ndim >= 3 and array.shape[-1] != array.shape[-2] and array.shape[0] == array.shape[1]:
        array = np.moveaxis(array, (0, 1), (-2, -1))  # MATLAB's order, conditions first
    if square is None:
        square = array.ndim >= 2 and array.shape[-1] == array.shape[-2] and array.shape[-1] > 2
    if square:
        vectors = as_vectors(array, where)
    else:
        count_conditions(array.shape[-1])
        if not np.isfinite(array).all():
            raise ValueError(f"{where} holds entries that are not finite")
        vectors = array
    if vectors.ndim > 3:
        raise ValueError(f"{where} has shape {array.shape}: expected (n, n), (subject, n, n) or (subject, time, n, n)")
    vectors = vectors.reshape(*(1,) * (2 - vectors.ndim), *vectors.shape)
    vectors = vectors[:, None] if vectors.ndim == 2 else vectors
    n = count_conditions(vectors.shape[-1])
    if conditions and len(conditions) != n:
        raise ValueError(f"{where} is of {n} conditions, but names {len(conditions)} ids")
    subjects = tuple(names) if len(names) == len(vectors) else tuple(str(i + 1) for i in range(len(vectors)))
    return SubjectRdms(vectors, subjects, tuple(str(name) for name in conditions))


def _read_npz(path: Path, key: str | None) -> SubjectRdms:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except ValueError as error:
        raise ValueError(f"{path} holds Python objects, which are not read: save plain arrays") from error
    return _of_variables(arrays, path, key)


def _read_npy(path: Path, key: str | None) -> SubjectRdms:
    try:
        array = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} is no array of numbers: {error}") from error
    beside = path.with_suffix(".txt")
    ids = beside.read_text(encoding="utf-8").split("\n") if beside.is_file() else []
    return _subjects(array, str(path), [name.strip() for name in ids if name.strip()])


def _read_csv(path: Path, key: str | None) -> SubjectRdms:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    named = not all(_is_number(cell) for row in rows for cell in row)
    if not named:
        return _subjects([[float(cell) for cell in row] for row in rows], str(path))
    columns, ids = [name.strip() for name in rows[0][1:]], [row[0].strip() for row in rows[1:]]
    if columns != ids:
        raise ValueError(f"{path} names other ids in its first row than in its first column")
    if not all(_is_number(cell) for row in rows[1:] for cell in row[1:]):
        raise ValueError(f"{path} holds entries that are not numbers")
    return _subjects([[float(cell) for cell in row[1:]] for row in rows[1:]], str(path), ids)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_meadows_json(path: Path, key: str | None) -> SubjectRdms:
    """Read one participant's download: each multiple-arrangement task is an RDM."""
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))["tasks"]
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    found = [task for task in tasks if task.get("task", {}).get("task_type") == "multiarrange"]
    if not found:
        raise ValueError(f"{path} has no task of the type multiarrange")
    stimuli = [[each["name"] for each in task["stimuli"]] for task in found]
    if any(names != stimuli[0] for names in stimuli):
        raise ValueError(f"{path} has tasks of different stimuli: keep those of one")
    names = [str(task["task"].get("name", i + 1)) for i, task in enumerate(found)]
    return _subjects([task["rdm"] for task in found], str(path), stimuli[0], names)


def _read_hdf5(path: Path, key: str | None) -> SubjectRdms:
    """Read rsatoolbox's layout."""
    h5py = _h5py(path)
    with h5py.File(path, "r") as file:
        if "dissimilarities" not in file:
            raise ValueError(f"{path} was not written by rsatoolbox: it has {', '.join(file)}, not dissimilarities")
        vectors = file["dissimilarities"][()]
        patterns = {name: _texts(column[()]) for name, column in file.get("pattern_descriptors", {}).items()}
        of_rdm = {name: _texts(column[()]) for name, column in file.get("rdm_descriptors", {}).items()}
    names = next((ids for name, ids in of_rdm.items() if name != "index"), ())
    ids = _ids(patterns, count_conditions(vectors.shape[-1]))
    return _subjects(vectors, str(path), ids, names, square=False)  # there may be as many RDMs as pairs


def _read_matlab(path: Path, key: str | None) -> SubjectRdms:
    from scipy.io import loadmat

    with path.open("rb") as file:
        start = file.read(520)
    if HDF5 in (start[:8], start[512:520]):
        h5py = _h5py(path)
        with h5py.File(path, "r") as file:
            variables = {name: _from_hdf5(file[name], file) for name in file if not name.startswith("#")}
    else:
        variables = loadmat(path, simplify_cells=True)
    variables = {name: value for name, value in variables.items() if not name.startswith("__")}
    if utvs := sorted(name for name in variables if name.startswith("rdmutv")):
        return _of_meadows(variables, utvs, path)
    return _of_variables(variables, path, key)


def _of_meadows(variables: Mapping[str, Any], utvs: Sequence[str], path: Path) -> SubjectRdms:
    """Read a Meadows download: ``rdmutv`` and ``stimuli``, or one of each per participant."""
    stimuli = {name: _texts(value) for name, value in variables.items() if name.startswith("stimuli")}
    ids = [stimuli.get(name.replace("rdmutv", "stimuli"), next(iter(stimuli.values()), ())) for name in utvs]
    if any([*each] != [*ids[0]] for each in ids):
        raise ValueError(f"{path} has participants with different stimuli: keep those of one order")
    names = [name.removeprefix("rdmutv").strip("_") or "1" for name in utvs]
    return _subjects(np.stack([np.ravel(variables[name]) for name in utvs]), str(path), ids[0], names)


def _of_variables(variables: Mapping[str, Any], path: Path, key: str | None) -> SubjectRdms:
    """Find the RDMs among named values: a struct array with fields RDM and name, or a numeric array."""
    candidates = {name: value for name, value in variables.items() if _holds_rdms(value)}
    if key is not None and key not in variables:
        raise ValueError(f"{path} has no variable {key}; it has {', '.join(variables)}")
    chosen = [key] if key is not None else list(candidates)
    if len(chosen) != 1:
        if chosen:
            raise ValueError(f"{path} has several RDMs: choose one of {', '.join(chosen)} by analysis.key=NAME")
        raise ValueError(f"{path} has no RDMs; its variables are {', '.join(variables)}")
    value, where = variables[chosen[0]], f"{path}: {chosen[0]}"
    if _is_struct(value):
        structs = [each for each in np.ravel(np.asarray(value, dtype=object)) if isinstance(each, dict)]
        field = next(name for name in structs[0] if name.lower() == "rdm")
        names = [str(each.get("name", i + 1)) for i, each in enumerate(structs)]
        shapes = {np.shape(each[field]) for each in structs}
        if len(shapes) > 1:
            raise ValueError(f"{where} has RDMs of different sizes: {', '.join(map(str, sorted(shapes)))}")
        return _subjects(np.stack([np.squeeze(each[field]) for each in structs]), where, _ids(variables, None), names)
    found = _subjects(value, where)
    names = [*_texts(variables["subjects"])] if "subjects" in variables else ()
    n = count_conditions(found.vectors.shape[-1])
    subjects = tuple(names) if len(names) == len(found.subjects) else found.subjects
    return found._replace(conditions=tuple(_ids(variables, n)), subjects=subjects)


def _holds_rdms(value: Any) -> bool:
    if _is_struct(value):
        return True
    array = np.asarray(value) if not isinstance(value, str | dict) else np.empty(0)
    sizes = list(array.shape)
    if array.dtype.kind not in "fiu" or len(sizes) < 2 or min(sizes[-2:]) < 3:
        return False
    return sizes[-1] == sizes[-2] or sizes[0] == sizes[1]  # MATLAB has the conditions first


def _is_struct(value: Any) -> bool:
    if isinstance(value, dict):
        return any(name.lower() == "rdm" for name in value)
    array = np.asarray(value, dtype=object) if isinstance(value, list | np.ndarray) else np.empty(0)
    return array.dtype == object and array.size > 0 and all(isinstance(each, dict) for each in array.flat)


def _ids(variables: Mapping[str, Any], n: int | None) -> Sequence[str]:
    """Find the conditions' ids among named values: ``n`` texts under a usual name, or of rsatoolbox's descriptors."""
    named = {name.lower(): value for name, value in variables.items()}
    for name in (*IDS, *(name for name in named if name not in IDS and name != "index")):
        texts = _texts(named[name]) if name in named else ()
        if texts and (n is None or len(texts) == n) and (name in IDS or len(set(texts)) == len(texts)):
            return texts
    return ()


def _texts(value: Any) -> tuple[str, ...]:
    """Decode a list of texts; empty for anything else."""
    array = np.ravel(np.asarray(value))
    if array.dtype.kind == "S":
        return tuple(each.decode("utf-8", "replace").strip() for each in array)
    if array.dtype.kind == "O" and all(isinstance(each, str | bytes) for each in array):
        return tuple((each.decode("utf-8", "replace") if isinstance(each, bytes) else each).strip() for each in array)
    return tuple(str(each).strip() for each in array) if array.dtype.kind == "U" else ()


def _from_hdf5(item: Any, file: Any) -> Any:
    """Decode a variable of a MATLAB v7.3 file: arrays in MATLAB's order of axes, structs as dicts, text as str."""
    import h5py

    if isinstance(item, h5py.Group):
        fields = {name: _from_hdf5(item[name], file) for name in item}
        lengths = {len(value) for value in fields.values() if isinstance(value, list)}
        if fields and len(lengths) == 1 and all(isinstance(value, list) for value in fields.values()):
            return [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
        return fields
    value = item[()]
    if item.dtype == h5py.ref_dtype:
        return [_from_hdf5(file[reference], file) for reference in np.ravel(value)]
    if item.attrs.get("MATLAB_class", b"") == b"char":
        return "".join(chr(code) for code in np.ravel(value))
    return np.transpose(value)


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ModuleNotFoundError:
        raise ValueError(f"{path} is HDF5, which h5py reads: pip install 'gqn-probe[brain]'") from None
    return h5py
