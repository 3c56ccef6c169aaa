"""Resume a training run: in its own folder, with the configuration stored there."""

import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from gqn_probe.choices import nearest
from gqn_probe.run.job import in_sweep, is_first_process, plain_config

log = logging.getLogger(__name__)
ROOT = Path("outputs/train")
RESUME = re.compile(r"\+{0,2}resume=['\"]?(.*?)['\"]?")  # Hydra also takes + and ++
PARTS = {  # entries of a checkpoint that Lightning reads without checking
    **dict.fromkeys(("global_step", "epoch"), int),
    **dict.fromkeys(("state_dict", "gqn_settings", "callbacks", "loops"), dict),
    **dict.fromkeys(("optimizer_states", "lr_schedulers"), list),
}


class ResumePoint(NamedTuple):
    """Last checkpoint of a run, None before the first, and the number of steps until it."""

    checkpoint: Path | None = None
    step: int = 0


def expand_resume(arguments: Sequence[str]) -> list[str]:
    """Replace ``resume=FOLDER`` or ``resume=last`` by the arguments with which Hydra resumes the run.

    The configuration is read from the run's folder, not composed again, so that a new default in ``conf`` does not
    change a run under way; the other overrides of the command line are applied to it.

    Raises:
        ValueError: there is no such run, ``resume`` is given twice, or an override replaces a whole group.
    """
    asked = {match[1] for argument in arguments if (match := RESUME.fullmatch(argument))}
    if len(asked) > 1:
        raise ValueError(f"{' and '.join(f'resume={name}' for name in sorted(asked))}: give one of them")
    if not asked or asked == {"null"}:
        return list(arguments)
    (resume,) = asked
    if {"-m", "--multirun"} & set(arguments):
        raise ValueError(f"resume={resume} continues one run: leave out -m")
    folder = run_folder(resume)
    stored = OmegaConf.load(folder / ".hydra" / "config.yaml")
    others = [argument for argument in arguments if not RESUME.fullmatch(argument)]
    for key, _, value in (argument.lstrip("+").partition("=") for argument in others):
        if isinstance(OmegaConf.select(stored, key), DictConfig) and not value.startswith("{"):
            raise ValueError(f"{key}={value}: a continued run keeps its {key}; change single values, {key}.NAME=VALUE")
    config = ["--config-path", str(folder / ".hydra"), "--config-name", "config"]
    conf = Path(sys.argv[0]).resolve().parent / "conf"
    hydra = ["--config-dir", str(conf), "+hydra=default"]  # logging and the lock of the folder
    return [*config, *hydra, *others, f"resume={folder}", f"hydra.run.dir={folder}"]


def run_folder(resume: str) -> Path:
    """Return the absolute output folder that ``resume`` names; for ``last`` that of the most recent training."""
    if resume == "last":
        trained = sorted(ROOT.rglob("metrics.csv"), key=lambda path: path.stat().st_mtime)
        if not trained:
            raise ValueError(f"resume=last: there is no run under {ROOT}; train one first")
        return trained[-1].parent.resolve()
    folder = Path(resume).resolve()
    if not (folder / ".hydra" / "config.yaml").exists():
        raise ValueError(f"resume={resume} is not an output folder of train.py; name one, or `last`")
    return folder


def finished_before(folder: Path, cfg: DictConfig) -> float | None:
    """Return the metric of a sweep's job that an earlier start of the sweep finished; None if it is still to be run.

    Raises:
        ValueError: the finished job had other settings.
    """
    record = folder / "provenance.json"
    if not (record.exists() and (folder / "weights.safetensors").exists() and in_sweep()):
        return None
    found = json.loads(record.read_text(encoding="utf-8"))
    if found["config"] != json.loads(json.dumps(plain_config(cfg), default=str)):
        raise ValueError(f"{folder} holds a run of other settings: name another hydra.sweep.dir")
    log.info("finished before: %s", folder)
    return optimized_value(found["last_validation"], cfg.optimized_metric)


def optimized_value(metrics: Mapping[str, float], name: str) -> float:
    """Return the metric that a sweep optimises; NaN, with a warning that names the nearest, where there is none."""
    if name not in metrics:
        log.warning("optimized_metric=%s was not measured: %smetrics.csv lists all", name, nearest(name, metrics))
    return metrics.get(name, float("nan"))


def find_resume_point(folder: Path, resume: str | None) -> ResumePoint:
    """Return the last checkpoint of the run in ``folder``; none for a new run or one that has none yet.

    Raises:
        ValueError: ``resume`` names another folder, the checkpoint is damaged, or a new run would overwrite a run.
    """
    if resume is None:
        begun = any((folder / name).exists() for name in ("weights.safetensors", "checkpoints/last.ckpt"))
        if begun and is_first_process() and not in_sweep():
            raise ValueError(f"{folder} holds a run: continue it with resume={folder}, or name another folder")
        return ResumePoint()
    if run_folder(resume) != folder.resolve():
        raise ValueError(f"resume={resume} continues in that folder, not in {folder}: give it on the command line")
    checkpoint = folder / "checkpoints" / "last.ckpt"
    if not checkpoint.exists():
        log.info("%s has no checkpoint yet: training starts from step 0", folder)
        return ResumePoint()
    from gqn_probe.model import load_gqn  # torch takes seconds to import
    from gqn_probe.model.saved_tensors import read_plain

    load_gqn(checkpoint)
    content = read_plain(checkpoint)
    wrong = [name for name, kind in PARTS.items() if not isinstance(content.get(name), kind)]
    if wrong:
        raise ValueError(f"{checkpoint} is no checkpoint of train.py: it has no {wrong[0]}")
    log.info("training continues from step %d of %s", content["global_step"], folder)
    return ResumePoint(checkpoint, content["global_step"])
