"""Network and data meet before the first step: what would fail at the first validation is refused there."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as L
from fitting import fit
from tiny import SIZE, TINY, constant, tiny_module, train

from gqn_probe.model import GQN
from gqn_probe.training.callbacks import ImageGrid
from gqn_probe.training.gqn_module import GQNModule


class NoStep(L.Callback):
    """Fails where a training step is taken."""

    def on_train_batch_start(self, *arguments: Any, **named: Any) -> None:
        raise AssertionError("a step was taken")


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def with_generator(module: GQNModule, pooled: bool = False, **changes: Any) -> GQNModule:
    """The module with another network; both parts pooled or neither."""
    settings = module.gqn.settings()
    settings["encoder"]["pooled"] = pooled
    settings["generator"] |= {"pooled": pooled, **changes}
    module.gqn = GQN.from_settings(settings)
    return module


@pytest.mark.slow
def test_what_it_was_trained_on_is_noted(cache):
    module = tiny_module()
    fit(module, cache, "data.camera_order=sin_cos", limit_val_batches=0)
    spec = module.gqn.input_spec
    assert spec[:2] == ((SIZE, SIZE), "sin_cos")
    assert spec.lens is not None
    assert spec.lens[:2] == ("orthographic", 0.8)
    assert spec.background == pytest.approx((0.83, 0.83, 0.83), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"pooled": True}, {"core": "spread"}, {"pooled": True, "core": "released"}])
def test_another_size_than_the_network_is_made_for_is_refused(cache, changes):
    module = with_generator(tiny_module(), **{"size": 64, **changes})
    message = "made for frames of 64x64, the data has 16x16: add data.size=64 or model.generator.size=16$"
    with pytest.raises(ValueError, match=message):
        fit(module, cache, callbacks=[NoStep()])
    fit(with_generator(tiny_module(), **{"size": 16, **changes}), cache)


@pytest.mark.slow
def test_a_network_bound_to_no_size_is_trained_at_that_of_the_data(cache, tmp_path):
    module = with_generator(tiny_module(sigma=constant(1.0)), size=64)
    trainer = fit(module, cache, callbacks=[ImageGrid(str(tmp_path), scenes=2)])
    assert trainer.callback_metrics["val/sample/rmse"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"context": (1, 6)},
            r"context=\[1, 6\] with training.queries=1 needs 6: lower them, as in training.context=\[1,5\]$",
        ),
        (
            {"context": (1, 4), "queries": 2, "unseen_queries": True},
            r"training.context=\[1, 4\] with training.queries=2 needs 6: lower them, as in training.context=\[1,3\]$",
        ),
        (
            {"context": (1, 4), "queries": 6, "unseen_queries": True},
            r"training.context=\[1, 4\] with training.queries=6 needs 10: lower them$",
        ),
        (
            {"validation_counts": (1, 5), "reference_count": 5},
            "the scenes have 5 views, but training.reference_count=5 needs 6: lower them",
        ),
        (
            {"context": (6, 6), "validation_counts": (5,), "reference_count": 5},
            "queries=1 needs 6 and training.reference_count=5 needs 6",
        ),
    ],
)
def test_too_few_views_are_refused_by_the_settings_that_need_them(cache, changes, message):
    with pytest.raises(ValueError, match=message):
        fit(tiny_module(**changes), cache, callbacks=[NoStep()])


@pytest.mark.slow
def test_just_enough_views_are_enough(cache):
    fit(tiny_module(context=(4, 4), unseen_queries=True, validation_counts=(4,), reference_count=4), cache)
    fit(tiny_module(validation_counts=(5,), reference_count=5), cache, limit_val_batches=0)


@pytest.mark.slow
def test_a_validation_without_another_scene_says_so(cache, caplog):
    caplog.set_level("INFO")
    trainer = fit(tiny_module(), cache, "data.val=1")
    assert "validation batches hold one scene each" in caplog.text
    caplog.clear()
    assert "val/sample/rmse" in trainer.callback_metrics
    assert not [name for name in trainer.callback_metrics if "shuffled" in name]
    fit(tiny_module(), cache)
    assert "one scene each" not in caplog.text


@pytest.mark.slow
def test_a_precision_whose_gradients_overflow_is_refused(cache):
    message = "trainer.precision=16-true scales gradients or lets them overflow: use trainer.precision=bf16-mixed or 32"
    with pytest.raises(ValueError, match=message):
        fit(tiny_module(), cache, callbacks=[NoStep()], precision="16-true")
    fit(tiny_module(), cache, precision="bf16-mixed")


@pytest.mark.slow
def test_one_of_several_devices_speaks_for_all(tmp_path):
    result = train(tmp_path, *TINY, "data.views=3", "trainer.devices=2", "logger.wandb=false")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: the scenes have 3 views, but training.context=[1, 3] ")
