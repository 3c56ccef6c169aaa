"""The context-count study: from the files of the count jobs to the result files."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from gqn_probe.analysis.inputs.study_inputs import StudyInputs
from gqn_probe.analysis.protocols.count_probe import CONVENTION, CountProbe
from gqn_probe.analysis.protocols.jobs import (
    Jobs,
    find_jobs,
    job_metadata,
    prediction_rows,
    read_predictions,
    read_representations,
    write_pictures,
)
from gqn_probe.analysis.protocols.original_study import original_outcome, original_rows
from gqn_probe.analysis.protocols.probe_inputs import ProbeInputs
from gqn_probe.analysis.protocols.study_settings import StudySettings
from gqn_probe.analysis.statistics.geometry import write_embedding
from gqn_probe.analysis.statistics.headline import COUNT, ONE_COUNT, QUESTION
from gqn_probe.results import Answer, ObjectScore, Outcome, write_study


def run_study(
    study_inputs: StudyInputs,
    settings: StudySettings,
    jobs: Sequence[Path],
    folder: Path,
    *,
    notes: Sequence[str] = (),
) -> Path:
    """Run the study on all complete count jobs; write the result files to ``folder``.

    Args:
        jobs: job folders, in any order; one without ``job.json`` counts as failed, one of other settings is left out.
        notes: caveats to be shown with the results, before those of the study itself.

    Raises:
        ValueError: no job is complete, or there are too few objects for the splits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = find_jobs(jobs, job_metadata(study_inputs, settings))
    wanted, settings = settings, settings.supported_by(study_inputs.network)
    representations = read_representations(found)
    outcome = _outcome(study_inputs, settings, found, representations, folder)
    outcome.notes[:0] = notes
    if study_inputs.predicts_images:
        errors = [
            ObjectScore("reconstruction", "", "", "", row.count, row.metric, row.scene, row.value, 1.0)
            for row in read_predictions(found)
            if row.metric == "sample_mse"
        ]
        outcome = outcome._replace(
            results=[*prediction_rows(found, len(representations)), *outcome.results],
            objects=[*outcome.objects, *errors],
        )
        write_pictures(study_inputs, found, settings, folder)
    if left := [name for name in wanted.chosen if name not in settings.chosen]:
        outcome.notes.append(f"Controls {', '.join(left)} were left out: a file of features does not give them.")
    write_embedding(representations, found.counts, study_inputs.scenes.factors, folder)
    known = {
        "question": QUESTION,
        "counts": list(found.counts),
        "failed": list(found.failed),
        "left_out": list(found.left_out),
        "objects": len(representations),
        "settings": asdict(settings),
        "labels": {name: settings.control[name].description for name in settings.chosen},
    }
    write_study(folder, outcome, known)
    return folder


def _outcome(
    study_inputs: StudyInputs,
    settings: StudySettings,
    jobs: Jobs,
    representations: Float[Tensor, "s k d"],
    folder: Path,
) -> Outcome:
    if settings.protocol == "original":
        rows = original_rows(study_inputs, jobs.counts, settings)
        return original_outcome(rows, jobs.counts, settings, device=study_inputs.device)
    if len(jobs.counts) == 1:
        read: dict[str, float | str] = {"probe": settings.headline, "input": settings.inputs[0]}
        return Outcome([], [], [], [], read, ONE_COUNT, CONVENTION, [], [Answer(COUNT, ONE_COUNT)])
    probe_inputs = ProbeInputs(study_inputs, jobs.counts, settings, folder / ".rows", representations)
    try:
        return CountProbe(probe_inputs, settings).outcome()
    finally:
        probe_inputs.close()
