"""Answers of RSA in plain sentences: whose geometry r has, how much of it is the cameras', and what subjects share."""

from collections.abc import Iterator, Mapping, Sequence

from gqn_probe.analysis.rsa.comparison import ALIKE, PARTIAL
from gqn_probe.analysis.statistics.headline import WORDS, join_words
from gqn_probe.results import Answer, Result

R = "whole"  # the read-out that is r itself
BLANK = "blank"  # r of the true cameras and the mean image: what of r is the cameras' alone
OUT = {"camera": "camera positions", "pixels": "summed pixels", BLANK: "blank images"}
NUISANCES = tuple(OUT)


def geometry_answers(
    results: Sequence[Result], labels: Mapping[str, str], counts: Sequence[int], nuisances: Sequence[str]
) -> Iterator[Answer]:
    """Yield two answers: the property whose RDM r's resembles most, and how far r's is the cameras'."""
    first, last = counts[0], counts[-1]
    images = f"{first} image{'s' * (first > 1)}"
    own = {(r.target, r.metric, r.count): r for r in results if (r.input, r.control) == (R, "none")}
    other = {(r.target, r.metric, r.count): r for r in results if r.control == "untrained"}
    of_object = [r for r in results if r.target not in (*NUISANCES, "angle", "direction", "coverage")]
    of_object = [r for r in of_object if (r.input, r.control, r.metric, r.count) == (R, "none", PARTIAL, last)]
    if of_object:
        best = max(of_object, key=lambda row: row.value)
        case = (best.target, PARTIAL)
        out = [OUT[name] for name in nuisances if name in labels]
        text = f"Once {join_words(out)} are partialled out, r" if out else "r"
        text += f" of {last} images is most like the model RDM of {WORDS.get(best.target, labels[best.target])}: "
        text += f"correlation {format_value(best)}"
        text += f"; r of {images}, {format_value(own[*case, first])}" if first != last and (*case, first) in own else ""
        text += f"; of untrained networks, {format_value(other[*case, last])}" if (*case, last) in other else ""
        yield Answer("Which property shapes r?", f"{text}.", best.value, best.low, best.high, "partial correlation")
    seen = [own.get((BLANK, ALIKE, count)) for count in (first, last)]
    if seen[0] is not None and seen[1] is not None:
        text = f"The RDM of r of {images} correlates with that of blank images from the same cameras by "
        text += f"{format_value(seen[0])}"
        text += f"; that of r of {last} images, by {format_value(seen[1])}." if first != last else "."
        bounds = (seen[0].value, seen[0].low, seen[0].high)
        yield Answer("How much is due to the cameras?", text, *bounds, "blank images with the true cameras")


def subject_answers(rows: Sequence[Result]) -> Iterator[Answer]:
    """Yield an answer on how well r predicts the subjects at its best count, beside pixels and the ceiling."""
    found = [row for row in rows if (row.metric, row.input, row.control) == (ALIKE, R, "none")]
    if not found:
        return
    best = max(found, key=lambda row: row.value)
    bounds = {row.metric: row.value for row in rows if row.seed == best.seed}
    at = "" if best.seed is None else f" at time {best.seed}"
    ceiling = ""
    if "ceiling_low" in bounds:
        ceiling = f" (noise ceiling {bounds['ceiling_low']:.2f} to {bounds['ceiling_high']:.2f})"
    pixels = [row for row in rows if (row.input, row.seed, row.count) == ("pixels", best.seed, best.count)]
    beside = f"; the summed pixels of as many images, by {format_value(pixels[0])}" if pixels else ""
    text = f"The RDM of r of {best.count} images correlates with those of the subjects{at} by {format_value(best)}"
    text += f"{ceiling}{beside}."
    licence = "dual bootstrap over stimuli and subjects" if ceiling else "bootstrap over stimuli, of one subject"
    yield Answer("Does r predict the subjects?", text, best.value, best.low, best.high, licence)


def format_value(row: Result) -> str:
    """Format a value with its interval."""
    return f"{row.value:.2f} ({row.low:.2f} to {row.high:.2f})"
