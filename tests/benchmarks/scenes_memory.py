"""Memory by number of scenes: ``python tests/benchmarks/scenes_memory.py [features|occlusion] [--scenes N ...]``.

``features``: a compressed .npz of as many scenes of 16 views of 384 numbers is written, opened as ``features=FILE``
opens it, and summed over 15 views as a count job sums it. ``occlusion``: the gates' variance shares and the occlusion
of the views, of experiment=connections at two context images, over rendered scenes in a store. Each number of scenes is
measured in a process of its own. Prints the peak of memory that is the process' own: pages of mapped files, which the
system takes back when it needs to, are not in it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from probe_memory import CONF, Watch

from gqn_probe.analysis.connections.gate_terms import gate_rows
from gqn_probe.analysis.connections.occlusion import occlude
from gqn_probe.analysis.inputs.feature_file import read_features
from gqn_probe.analysis.inputs.view_selection import nested, nested_task, sum_views
from gqn_probe.pipeline.open_inputs import open_study_inputs

VIEWS, NUMBERS, CHUNK = 16, 384, 500


def write_features(path: Path, scenes: int) -> None:
    """Write a compressed .npz a chunk of scenes at a time."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("names.npy", "w") as file:
            np.lib.format.write_array(file, np.array([f"scene-{i}" for i in range(scenes)]))
        with archive.open("features.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (scenes, VIEWS, NUMBERS)}
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, scenes, CHUNK):
                size = (min(CHUNK, scenes - start), VIEWS, NUMBERS)
                file.write(rng.integers(0, 64, size).astype(np.float32).tobytes())


def measure_features(scenes: int) -> str:
    """Open and sum a file of features; return what that took."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "features.npz"
        write_features(path, scenes)
        watch, start = Watch(), time.process_time()
        found = read_features(path, cache=path.parent / "cache")
        digest = found.fingerprint  # reads all of it
        time.sleep(0.2)
        opened = watch.peak
        r = sum_views(found.features("pooled"), nested(scenes, VIEWS, 15, 0))
        time.sleep(0.2)
        return (
            f"{scenes} scenes, {scenes * VIEWS * NUMBERS * 4 / 1e6:.0f} MB of numbers: own memory {opened / 1e6:.0f} "
            f"MB to open it, {watch.peak / 1e6:.0f} MB with {r.nbytes / 1e6:.0f} MB of r; "
            f"{time.process_time() - start:.0f} s of CPU; {digest[:8]}"
        )


def measure_occlusion(scenes: int, cache: str) -> str:
    """Trace gates and occlude views of scenes of the test split; return what that took."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        inputs = open_study_inputs(compose("probe", [f"cache={cache}"]), scenes)
    inputs.features(("representation",))  # encoded before
    watch, start = Watch(), time.process_time()
    task = nested_task(scenes, inputs.scenes.views, 2, 0)
    shares = [*gate_rows(inputs, task, count=2, scenes=scenes, seed=0)]
    found = occlude(inputs, task, scenes, shown=4)
    return (
        f"{scenes} scenes, {scenes * inputs.scenes.views * 12288 / 1e6:.0f} MB of images, "
        f"{scenes * inputs.scenes.views * 8192 * 4 / 1e6:.0f} MB of codes: own memory {watch.peak / 1e6:.0f} MB, "
        f"{time.process_time() - start:.0f} s of CPU; {len(shares)} shares, {found.change.mean():.2g} added"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("features", "occlusion"), default="features")
    parser.add_argument("--scenes", type=int, nargs="+", default=[1000, 4000, 16000])
    parser.add_argument("--cache", default="outputs/cache/features")
    options = parser.parse_args()
    if len(options.scenes) == 1:
        (scenes,) = options.scenes
        occlusion = options.what == "occlusion"
        print(measure_occlusion(scenes, options.cache) if occlusion else measure_features(scenes), flush=True)
        return
    for scenes in options.scenes:
        command = [sys.executable, __file__, options.what, "--cache", options.cache, "--scenes", str(scenes)]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
