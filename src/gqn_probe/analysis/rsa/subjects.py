"""RDMs of people, animals or sessions beside the network's: how well each predicts them, and the noise ceiling."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gqn_probe.analysis.rsa.rdm import SubjectRdms, count_conditions, match_ids
from gqn_probe.analysis.rsa.rdm_files import read_rdms
from gqn_probe.analysis.rsa.resampling import infer_correlations
from gqn_probe.results import Result

SUBJECTS = "subjects"  # the target of their rows


class Candidate(NamedTuple):
    """RDM that may predict those of subjects: a representation's, or a model RDM under the control "model"."""

    input: str
    control: str
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]


class Matched(NamedTuple):
    """RDMs of subjects for the scenes that they share with the study."""

    rdms: SubjectRdms
    scenes: Int[np.ndarray, " n"]  # which of the study's


def read_subjects(path: str, key: str | None, conditions: Sequence[str]) -> Matched:
    """Read the RDMs of a file, with its conditions matched to the scenes by their ids.

    Raises:
        ValueError: the file cannot be read, shares fewer than 4 ids, or has none and another number of conditions.
    """
    found = read_rdms(path, key)
    n = count_conditions(found.vectors.shape[-1])
    if found.conditions:
        scenes, places = match_ids(conditions, found.conditions, path)
        return Matched(found.of(np.array(places)), np.array(scenes))
    if n != len(conditions):
        raise ValueError(
            f"{path} has no ids, and {n} conditions where there are {len(conditions)} scenes: add ids, or set "
            f"analysis.objects={n}"
        )
    return Matched(found._replace(conditions=tuple(conditions)), np.arange(n))


def subject_rows(
    candidates: Mapping[Candidate, Float[np.ndarray, " pair"]], matched: Matched, *, draws: int, seed: int
) -> Iterator[Result]:
    """Yield every candidate's correlation with the subjects, and the noise ceiling; ``seed`` is the time, if several.

    Candidates that are not defined for all pairs, or constant over them, are left out.
    """
    some = next(iter(candidates.values()))
    n = count_conditions(len(some))
    place = np.zeros((n, n), dtype=int)
    place[np.triu_indices(n, 1)] = np.arange(len(some))
    place += place.T
    first, second = np.triu_indices(len(matched.scenes), 1)
    pairs = place[matched.scenes[first], matched.scenes[second]]
    own = {case: vector[pairs] for case, vector in candidates.items()}
    own = {case: vector for case, vector in own.items() if np.isfinite(vector).all() and np.ptp(vector) > 0}
    stacked, people = np.stack([*own.values()]), matched.rdms
    times = people.vectors.shape[1]
    for time in range(times):
        found = infer_correlations(
            stacked, people.vectors[:, time], draws=draws, rng=np.random.default_rng([seed, 2, time])
        )
        common = {"seed": time + 1 if times > 1 else None, "n": len(people.subjects)}
        for case, value in zip(own, found.candidates, strict=True):
            names = (SUBJECTS, case.input, case.control, "rsa")
            yield Result.pooled(names, "rdm_correlation", value, n=0, count=case.count, split="")._replace(**common)
        if found.ceiling is not None:
            for metric, bound in zip(("ceiling_low", "ceiling_high"), found.ceiling, strict=True):
                yield Result(SUBJECTS, "", "", "rsa", None, "", None, metric, bound)._replace(**common)
