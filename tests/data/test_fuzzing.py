"""Damaged and hostile files: a reader gives scenes or a ValueError that names the file, whatever the bytes.

Each reader sees the same twenty files at every run here; ``python tests/benchmarks/fuzzing.py`` gives it as many as it
is told.
"""

import contextlib
import zlib

import pytest
from damaged_files import Target, edited, targets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_files import Make

EDITS = st.binary(max_size=60)  # one draw, which takes a third of the time of a list of tuples
OF_PORTS = ("pt", "pt zip", "pt.gz", "port's first layout", "torch-gqn", "hdf5", "npz")
OF_SCENES = ("tfrecord", "record", "shard", "index", "image")
OF_CAMERAS = ("table", "cameras", "transforms", "colmap", "colmap lens")
OF_WEIGHTS = ("ckpt", "older ckpt", "pickle", "weights", "settings")
OF_SETTINGS = ("values of index", "values of transforms", "values of Tower", "values of Pyramid", "values of Points")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return targets(tmp_path_factory.mktemp("damaged"), Make())


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OF_SCENES, *OF_PORTS, *OF_CAMERAS, *OF_WEIGHTS, *OF_SETTINGS])
def test_only_value_errors_leave_a_reader(name: str, known: dict[str, Target]) -> None:
    content, read, damaged = known[name]
    read(content)

    @settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(EDITS)
    def run(edits: bytes) -> None:
        with contextlib.suppress(ValueError):
            read(damaged(content, edits))

    run()


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 64, b"\xff" * 64, zlib.compress(b"a" * 999), b"[" * 200_000], ids=range(5)
)
def test_files_of_something_else_are_refused(content: bytes, known: dict[str, Target]) -> None:
    for _, read, damaged in known.values():
        if damaged is edited:  # the others take JSON
            with pytest.raises(ValueError, match=r"\w"):
                read(content)
