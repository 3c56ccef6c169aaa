"""W&B artifacts of the weights, features and results that runs make and use."""

import re
from pathlib import Path

from omegaconf import DictConfig

from gqn_probe.analysis.inputs.feature_file import FeatureFile
from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.model import GQN, weights_fingerprint, weights_path
from gqn_probe.run import job
from gqn_probe.tracking.wandb_run import ArtifactSpec


def network_name(gqn: GQN) -> str:
    """Return a name for a network, such as ``points-1a2b3c4d5e6f``: its encoder and the start of its fingerprint."""
    return f"{type(gqn.encoder).__name__.lower()}-{weights_fingerprint(gqn)[:12]}"


def weights_artifact(gqn: GQN, path: Path) -> ArtifactSpec:
    """Return the artifact of a network's weights, which ``path`` holds."""
    return ArtifactSpec("model", network_name(gqn), path)


def network_artifact(cfg: DictConfig, study_inputs: StudyInputs) -> ArtifactSpec:
    """Return the artifact that the jobs of a study read: weights, or the features of another network."""
    if isinstance(study_inputs.network, FeatureFile):
        return features_artifact(study_inputs)
    return weights_artifact(study_inputs.gqn, weights_path(cfg.checkpoint))


def features_artifact(study_inputs: StudyInputs) -> ArtifactSpec:
    """Return the artifact of the features that the jobs of a study share."""
    if isinstance(study_inputs.network, FeatureFile):
        path = study_inputs.network.path
        return ArtifactSpec("features", f"{path.stem}-{study_inputs.network.fingerprint[:12]}", path)
    folder = study_inputs.features_folder
    return ArtifactSpec("features", f"{network_name(study_inputs.gqn)}-{folder.name[:12]}", folder)


def study_artifact(folder: Path) -> ArtifactSpec:
    """Return the artifact of ``folder/study``, named by the run's folder and the setting below it, as W&B allows."""
    root = job.root_folder()
    name = "-".join((*root.parts[-2:], *folder.relative_to(root).parts))
    return ArtifactSpec("study", re.sub(r"[^A-Za-z0-9_.-]+", "-", name), folder / "study")
