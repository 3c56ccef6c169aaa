"""Every configuration composes and instantiates; every training experiment takes one step."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from gqn_probe.data.episodes import draw_episode
from gqn_probe.pipeline.analysis_run import Analysis
from gqn_probe.run import job
from gqn_probe.training.gqn_module import GQNModule
from gqn_probe.types import Batch

CONF = Path(__file__).parents[1] / "conf"
STEMS = {
    group: sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    for group in ("experiment", "data", "model", "model/encoder")
}
TEXTS = {name: (CONF / f"experiment/{name}.yaml").read_text() for name in STEMS["experiment"]}
OF_ANALYSIS = [name for name, text in TEXTS.items() if "override /analysis" in text]
OF_PROBE = [name for name, text in TEXTS.items() if "override /probe" in text or name in OF_ANALYSIS]
OF_TRAINING = [name for name in STEMS["experiment"] if name not in OF_PROBE]


def composed(script: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(script, [*overrides])


def random_batch(scenes: int, views: int, size: int) -> Batch:
    frames = torch.randint(256, (scenes, views, 3, size, size), dtype=torch.uint8)
    return Batch(frames, torch.rand(scenes, views, 7), torch.arange(scenes))


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_TRAINING)
def test_training_experiment_takes_steps(name):
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
    for _ in range(2):  # SOAP's first step sets its bases
        optimizer.step()
    assert loss.isfinite()
    changed = [not torch.equal(a, b) for a, b in zip(before, learned, strict=True)]
    assert all(changed), f"{changed.count(False)} of {len(changed)} parameters did not learn"


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_PROBE)
def test_probe_experiment_composes(name):
    cfg = composed("probe", f"experiment={name}")
    assert job.instantiate(cfg.probe).objects > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_ANALYSIS)
def test_analysis_is_what_the_script_runs(name):
    analysis = job.instantiate(composed("probe", f"experiment={name}").analysis)
    assert isinstance(analysis, Analysis)
    assert analysis.objects > 0
    assert composed("probe", f"analysis={analysis.name}").analysis is not None


@pytest.mark.slow
@pytest.mark.parametrize("data", ["deepmind", "converted", "own", "prepared"])
@pytest.mark.parametrize("name", OF_TRAINING)
def test_every_training_experiment_takes_every_source(name, data):
    data = job.instantiate(composed("train", f"experiment={name}", f"data={data}", "data.root=nowhere").data)
    assert data.source.root == "nowhere"


@pytest.mark.slow
@pytest.mark.parametrize("script", ["train", "probe"])
@pytest.mark.parametrize("data", STEMS["data"])
def test_data_composes(script, data):
    cfg = composed(script, f"data={data}")
    assert data == "none" or cfg.data._target_.startswith("gqn_probe.data.")


@pytest.mark.parametrize("script", ["train", "probe"])
def test_resolved_configuration_is_plain(script):
    cfg = composed(script)
    OmegaConf.set_struct(cfg, False)
    cfg.callbacks = None  # holds ${hydra:...}, which only a running job resolves
    assert isinstance(job.plain_config(cfg)["data"], dict)


@pytest.mark.slow
@pytest.mark.parametrize("model", STEMS["model"])
@pytest.mark.parametrize("encoder", STEMS["model/encoder"])
def test_every_model_takes_every_encoder(model, encoder):
    cfg = composed("train", f"model={model}", f"model/encoder={encoder}", "model.generator.steps=1")
    gqn = job.instantiate(cfg.model)
    frames, cameras = torch.rand(1, 2, 3, 64, 64), torch.rand(1, 2, 7)
    assert gqn.sample(frames, cameras, cameras[:, 0]).shape == (1, 3, 64, 64)


@pytest.mark.slow
def test_a_recipe_goes_with_its_model_and_yields_to_the_command_line():
    papers = composed("train", "model=paper")
    assert (papers.data.batch_size, papers.trainer.max_steps, papers.training.sigma.end) == (36, 2_000_000, 0.7)
    assert composed("train").trainer.max_steps < 10_000
    assert composed("train", "model=paper", "trainer.max_steps=5").trainer.max_steps == 5
    assert composed("train", "model=paper", "recipe=points").trainer.max_steps == composed("train").trainer.max_steps


@pytest.mark.slow
def test_the_papers_experiment_never_shows_a_scene_twice():
    cfg = composed("train", "experiment=paper")
    assert (cfg.data.online, cfg.data.batch_size, cfg.model.generator.steps) == (True, 36, 12)
    published = composed("train", "experiment=paper", "data=deepmind", "data.root=somewhere")
    assert published.data.batch_size == 36


@pytest.mark.parametrize("script", ["train", "probe"])
def test_the_seed_reaches_the_data(script):
    assert composed(script, "seed=3").data.seed == 3


def test_a_schedule_may_be_a_number():
    cfg = composed("train", "training.sigma=1.5", "training.learning_rate=1e-4")
    module: GQNModule = job.instantiate(cfg.training, gqn=job.instantiate(cfg.model), seed=0)
    assert (module.sigma(0), module.learning_rate(10**6)) == (1.5, 1e-4)
