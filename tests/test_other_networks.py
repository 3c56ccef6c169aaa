"""Features of another network through the scripts: the study and RSA on our scenes, and without any scenes."""

import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from scripts import ROOT, call, read_table

from gqn_probe.run import job

SCENES = ["data.size=16", "data.views=6", "data.train=8", "data.val=8", "data.test=40"]
PROBES = [f"probe.probes.{name}=null" for name in ("mlp", "linear", "knn")]
CONTROLS = "probe.controls=[pixels,cameras,untrained,direction]"
STUDY = [*PROBES, CONTROLS, "context=[2,6]", "probe.seeds=2", "probe.permutations=20", "probe.targets=[count,shape]"]


def rows(folder: str) -> list[dict[str, str]]:
    return read_table(Path(folder) / "study" / "results.csv")


@pytest.mark.slow
def test_another_network_takes_the_place_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):  # as docs/other_networks.md does
        scenes = job.instantiate(compose("probe", SCENES).data).split("test")[:]
    colors = scenes.frames.float().mean(dim=(3, 4)).numpy()  # what this network sees of a view
    features = np.concatenate([colors, np.random.default_rng(0).random((40, 6, 20)) * 255], axis=2)
    assert scenes.names is not None
    order = np.arange(40)[::-1]
    np.savez("net.npz", features=features[order], names=np.array(scenes.names)[order])

    done = call("probe.py", *SCENES, *STUDY, "features=net.npz", "hydra.run.dir=study")
    assert done.code == 0, done.error
    found = rows("study")
    assert {r["control"] for r in found if r["target"] == "count"} == {"none", "norm", "pixels", "cameras", "direction"}
    assert not [r for r in found if r["target"] == "reconstruction"]
    tallied = [r for r in found if (r["control"], r["probe"], r["metric"]) == ("none", "tally", "accuracy")]
    assert max(float(r["value"]) for r in tallied) > 0.9
    page = Path("study/study/report.html").read_text()
    assert "The features of another network, from net.npz, take the place of a GQN" in page
    assert "features" in json.loads(Path("study/study/provenance.json").read_text())

    alike = ["experiment=rsa", "analysis.objects=30", "analysis.context=[1,4]", "analysis.bootstrap=20"]
    done = call("probe.py", *SCENES, *alike, "features=net.npz", "hydra.run.dir=rsa")
    assert done.code == 0, done.error
    known = {(r["target"], r["metric"]): float(r["value"]) for r in rows("rsa") if r["count"] == "4"}
    assert known["color", "rdm_correlation"] > known["shape", "rdm_correlation"]
    assert ("pixels", "rdm_correlation") in known
    assert ("blank", "rdm_correlation") not in known

    done = call("probe.py", "data=none", *STUDY, "features=net.npz", "hydra.run.dir=alone")
    assert done.code == 0, done.error
    assert not {"pixels", "cameras"} & {r["control"] for r in rows("alone")}
    wanted = ["experiment=connections", "analysis.context=[1,3]"]
    done = call("probe.py", *SCENES, *wanted, "features=net.npz", "hydra.run.dir=none")
    assert done.code == 1
    assert "this needs a GQN, and features=net.npz holds features alone" in done.error
