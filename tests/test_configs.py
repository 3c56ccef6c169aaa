"""Every configuration composes and instantiates; every training experiment takes one step."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from gqn_probe import job
from gqn_probe.data.episodes import draw_episode
from gqn_probe.training.gqn_module import GQNModule
from gqn_probe.types import Batch

CONF = Path(__file__).parents[1] / "conf"
STEMS = {group: sorted(path.stem for path in (CONF / group).glob("*.yaml")) for group in ("experiment", "data")}
OF_PROBE = [name for name in STEMS["experiment"] if "override /probe" in (CONF / f"experiment/{name}.yaml").read_text()]
OF_TRAINING = [name for name in STEMS["experiment"] if name not in OF_PROBE]


def composed(script: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(script, [*overrides])


def random_batch(scenes: int, views: int, size: int) -> Batch:
    frames = torch.randint(256, (scenes, views, 3, size, size), dtype=torch.uint8)
    return Batch(frames, torch.rand(scenes, views, 7), torch.arange(scenes))


@pytest.mark.parametrize("name", OF_TRAINING)
def test_training_experiment_takes_a_step(name):
    cfg = composed("train", f"experiment={name}", "model.generator.steps=2")
    module: GQNModule = job.instantiate(cfg.training, gqn=job.instantiate(cfg.model), seed=0)
    episode = draw_episode(
        random_batch(1, 4, cfg.data.size),
        context=2,
        queries=1,
        unseen_queries=True,
        generator=torch.Generator().manual_seed(0),
    )
    learned = [parameter for parameter in module.gqn.parameters() if parameter.requires_grad]
    before = [parameter.clone() for parameter in learned]
    optimizer = module.configure_optimizers()["optimizer"]
    loss, _ = module.objective(episode)
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    changed = [not torch.equal(a, b) for a, b in zip(before, learned, strict=True)]
    assert all(changed), f"{changed.count(False)} of {len(changed)} parameters did not learn"


@pytest.mark.parametrize("name", OF_PROBE)
def test_probe_experiment_composes(name):
    cfg = composed("probe", f"experiment={name}")
    assert job.instantiate(cfg.probe).objects > 0


@pytest.mark.parametrize("data", ["deepmind", "converted", "own", "prepared"])
@pytest.mark.parametrize("name", OF_TRAINING)
def test_every_training_experiment_takes_every_source(name, data):
    data = job.instantiate(composed("train", f"experiment={name}", f"data={data}", "data.root=nowhere").data)
    assert data.source.root == "nowhere"


@pytest.mark.parametrize("script", ["train", "probe"])
@pytest.mark.parametrize("data", STEMS["data"])
def test_data_composes(script, data):
    cfg = composed(script, f"data={data}")
    assert cfg.data._target_.startswith("gqn_probe.data.")


@pytest.mark.parametrize("script", ["train", "probe"])
def test_resolved_configuration_is_plain(script):
    cfg = composed(script)
    OmegaConf.set_struct(cfg, False)
    cfg.callbacks = None  # holds ${hydra:...}, which only a running job resolves
    assert isinstance(job.plain_config(cfg)["data"], dict)
