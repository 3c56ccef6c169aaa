"""Export representations and features to other programs: ``python -m gqn_probe.export FOLDER --to mat h5 npy parquet``.

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
    """Return the arrays in a folder of a study or of features.

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


def write_mat(arrays: Arrays, path: Path) -> None:
    """Write a ``.mat`` of version 5, for MATLAB and Octave; dots in names become underscores.

    Raises:
        ValueError: an array is too large for the format.
    """
    from scipy.io import savemat

    for name, array in arrays.items():
        if array.nbytes > LARGEST_MAT:
            raise ValueError(
                f"{name} takes {array.nbytes / 1e9:.1f} GB, more than a .mat of version 5 holds: use --to h5"
            )
    savemat(path, {name.replace(".", "_"): array for name, array in arrays.items()}, do_compression=True)


def write_h5(arrays: Arrays, path: Path) -> None:
    """Write one data set for each array; MATLAB's ``h5read`` returns axes in the opposite order."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)


def write_parquet(arrays: Arrays, path: Path) -> None:
    """Write one row for each scene and count or view, for pandas, R and Hugging Face ``datasets``."""
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
    parquet.write_table(pyarrow.table(columns), path)


WRITERS: dict[str, Callable[[Arrays, Path], None]] = {"mat": write_mat, "h5": write_h5, "parquet": write_parquet}
FORMATS = ("npy", *WRITERS)  # .npy, for NumPy and the readers of R, Julia and MATLAB, is a file for each array
EXTRAS = {"h5py": "hdf5", "pyarrow": "parquet"}  # in pip install gqn-probe[...]


def export(folder: Path, formats: Sequence[str], out: Path | None = None) -> list[Path]:
    """Write the folder's arrays in each of the formats and return the files, by default in ``FOLDER/export``.

    Raises:
        ValueError: there is nothing to export, a library is not installed, or an array is too large for a format.
    """
    arrays = collect(folder)
    out = folder / "export" if out is None else out
    out.mkdir(parents=True, exist_ok=True)
    stem = out / ("representation" if "counts" in arrays else "features")
    written = []
    for kind in dict.fromkeys(formats):
        try:
            if kind == "npy":
                for name, array in arrays.items():
                    written.append(stem.with_name(f"{stem.name}_{name}.npy"))
                    with atomic_write(written[-1]) as draft:
                        np.save(draft, array)
            else:
                written.append(stem.with_suffix(f".{kind}"))
                with atomic_write(written[-1]) as draft:
                    WRITERS[kind](arrays, draft)
        except ModuleNotFoundError as error:
            extra = EXTRAS.get(error.name or "", "")
            raise ValueError(f'--to {kind} needs {error.name}: pip install "gqn-probe[{extra}]"') from error
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Export the folder of the command line; exit with a one-line error."""
    parser = argparse.ArgumentParser(
        prog="python -m gqn_probe.export", description="Write representations or features for other programs."
    )
    parser.add_argument("folder", type=Path, help="what probe.py wrote, or outputs/cache/features/KEY")
    parser.add_argument("--to", nargs="+", choices=FORMATS, required=True, help="formats to write")
    parser.add_argument("--out", type=Path, help="where to write them (default: FOLDER/export)")
    given = parser.parse_args(arguments)
    try:
        for path in export(given.folder, given.to, given.out):
            print(path)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
