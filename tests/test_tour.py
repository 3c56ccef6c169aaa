"""The notebook of the documents runs to its end, is stored as it was run, and stays small."""

import json

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from scripts import ROOT

TOUR = ROOT / "docs" / "tour.ipynb"
CELLS = [cell for cell in json.loads(TOUR.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


@pytest.mark.slow
def test_every_cell_runs(monkeypatch):
    monkeypatch.chdir(TOUR.parent)
    mpl.use("agg")
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in CELLS:
        exec(compile("".join(cell["source"]), "tour.ipynb", "exec"), names)
    assert len(plt.get_fignums()) >= 6
    plt.close("all")


def test_it_is_stored_with_its_outputs():
    assert [cell["execution_count"] for cell in CELLS] == [*range(1, len(CELLS) + 1)]
    kinds = [output["output_type"] for cell in CELLS for output in cell["outputs"]]
    assert "error" not in kinds
    pictures = [output for cell in CELLS for output in cell["outputs"] if "image/png" in output.get("data", {})]
    assert len(pictures) >= 6
    assert TOUR.stat().st_size < 400_000
