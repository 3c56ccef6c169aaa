"""Representations and features for other programs: ``python -m gqn_probe.export FOLDER --to mat h5 npy parquet``.

``FOLDER`` is what ``probe.py`` wrote, whose r at each count is exported with the views that it was formed of; or a
folder of features, ``outputs/cache/features/KEY``, whose arrays are by scene and view.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gqn_probe.atomic_io import atomic_write

Arrays = Mapping[str, np.ndarray]
LARGEST_MAT = 2**31 - 1  # bytes of an array in a MAT-file of version 5


def collect(folder: Path) -> dict[str, np.ndarray]:
    """The arrays that a folder holds: of a study, or of features.

    Returns:
        Of a study ``counts`` (k), ``representation`` (s k d), averaged over positions, and ``views`` (s k v), whether r
        was formed of a view; of features an array (s v ...) by its read-out's name, memory-mapped.

    Raises:
        ValueError: the folder holds neither.
    """
    features = {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}
    if features:
        return features
    from safetensors.numpy import load_file

    found = {}
    for path in [*folder.glob("representation.safetensors"), *folder.glob("*/representation.safetensors")]:
        note = path.with_name("job.json")
        if note.is_file():
            found[json.loads(note.read_text(encoding="utf-8"))["count"]] = load_file(path)
    if not found:
        raise ValueError(f"{folder} holds no representation.safetensors or features: give what probe.py wrote")
    counts = sorted(found)
    joined = {name: np.stack([found[count][name] for count in counts], axis=1) for name in ("representation", "views")}
    return {"counts": np.array(counts), **joined}


def write_npy(arrays: Arrays, stem: Path) -> list[Path]:
    """A ``STEM_NAME.npy`` an array: NumPy, and readers in R, Julia and MATLAB."""
    written = []
    for name, array in arrays.items():
        path = stem.with_name(f"{stem.name}_{name}.npy")
        with atomic_write(path) as draft:
            np.save(draft, array)
        written.append(path)
    return written


def write_mat(arrays: Arrays, stem: Path) -> list[Path]:
    """``STEM.mat``, version 5, which MATLAB and Octave load; dots in names become underscores.

    Raises:
        ValueError: an array has more bytes than the format can hold.
    """
    from scipy.io import savemat

    for name, array in arrays.items():
        if array.nbytes > LARGEST_MAT:
            raise ValueError(
                f"{name} takes {array.nbytes / 1e9:.1f} GB, more than a .mat of version 5 holds: use --to h5"
            )
    path = stem.with_suffix(".mat")
    with atomic_write(path) as draft:
        savemat(draft, {name.replace(".", "_"): array for name, array in arrays.items()}, do_compression=True)
    return [path]


def write_h5(arrays: Arrays, stem: Path) -> list[Path]:
    """``STEM.h5``, a data set an array; MATLAB's ``h5read`` shows axes in the opposite order."""
    import h5py

    path = stem.with_suffix(".h5")
    with atomic_write(path) as draft, h5py.File(draft, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    return [path]


def write_parquet(arrays: Arrays, stem: Path) -> list[Path]:
    """``STEM.parquet``, a row a scene and count or view, for pandas, R's arrow and Hugging Face's ``datasets``."""
    import pyarrow  # pyright: ignore[reportMissingImports]  (of an extra)
    from pyarrow import parquet  # pyright: ignore[reportMissingImports]

    by_count = "counts" in arrays
    wide = {name: array for name, array in arrays.items() if name != "counts"}
    scenes, inner = next(iter(wide.values())).shape[:2]
    second = arrays["counts"] if by_count else np.arange(inner)
    columns = {
        "scene": pyarrow.array(np.repeat(np.arange(scenes), inner)),
        "count" if by_count else "view": pyarrow.array(np.tile(second, scenes)),
    }
    for name, array in wide.items():
        rows = np.ascontiguousarray(array).reshape(scenes * inner, -1)
        columns[name] = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(rows.reshape(-1)), rows.shape[1])
    path = stem.with_suffix(".parquet")
    with atomic_write(path) as draft:
        parquet.write_table(pyarrow.table(columns), draft)
    return [path]


FORMATS: dict[str, Callable[[Arrays, Path], list[Path]]] = {
    "npy": write_npy,
    "mat": write_mat,
    "h5": write_h5,
    "parquet": write_parquet,
}
EXTRAS = {"h5py": "hdf5", "pyarrow": "parquet"}  # of pip install gqn-probe[...]


def export(folder: Path, formats: Sequence[str], out: Path | None = None) -> list[Path]:
    """Write the folder's arrays in each of the formats; the files, which lie in ``FOLDER/export`` unless told.

    Raises:
        ValueError: there is nothing to export, a format's library is not installed, or a format cannot hold it.
    """
    arrays = collect(folder)
    out = folder / "export" if out is None else out
    out.mkdir(parents=True, exist_ok=True)
    stem = out / ("representation" if "counts" in arrays else "features")
    written = []
    for name in dict.fromkeys(formats):
        try:
            written += FORMATS[name](arrays, stem)
        except ModuleNotFoundError as error:
            extra = EXTRAS.get(error.name or "", "")
            raise ValueError(f'--to {name} needs {error.name}: pip install "gqn-probe[{extra}]"') from error
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Export the folder named; exit with one line where that cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m gqn_probe.export", description="Write representations or features for other programs."
    )
    parser.add_argument("folder", type=Path, help="what probe.py wrote, or outputs/cache/features/KEY")
    parser.add_argument("--to", nargs="+", choices=[*FORMATS], required=True, help="formats to write")
    parser.add_argument("--out", type=Path, help="where to write them; FOLDER/export unless told")
    given = parser.parse_args(arguments)
    try:
        for path in export(given.folder, given.to, given.out):
            print(path)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
