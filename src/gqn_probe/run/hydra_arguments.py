"""Arguments of the command line in Hydra's grammar: paths of any characters, lists of counts, lists of probes."""

import re
from collections.abc import Sequence
from pathlib import Path

PATHS = (
    "checkpoint",
    "features",
    "report",
    "resume",
    "cache",
    "images",
    "cameras",
    "data.root",
    "data.cache",
    "hydra.run.dir",
    "hydra.sweep.dir",
)
PLAIN_PATH = re.compile(r"[A-Za-z0-9_./:@%+-]*")  # needs no quotes in Hydra's grammar
LISTED_COUNTS = re.compile(r"range\(|[\d.]+,")  # sweeps in Hydra's grammar
MULTIRUN = {"-m", "--multirun"}
SWEEP = re.compile(r"(choice|glob|range|interval|shuffle|sort|tag)\(.*\)")


def hydra_arguments(arguments: Sequence[str]) -> list[str]:
    """Return arguments in Hydra's grammar.

    Paths may contain any character and start with ``~``; ``experiment=null`` is dropped; ``probe.probes=[a,b]`` chooses
    files of the group ``probe/probes``; ``context=2,5`` and ``context=range(a,b)`` are sweeps only with ``-m``, which
    may stand anywhere.
    """
    sweep = bool(MULTIRUN & set(arguments))
    rewritten = ["-m"] if sweep else []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        name = key.lstrip("+")
        if argument in MULTIRUN or argument == "experiment=null":
            continue
        if name in PATHS and equals:
            rewritten.append(f"{key}={_quoted_paths(value, sweep)}")
        elif name == "context" and LISTED_COUNTS.match(value) and not sweep:
            rewritten.append(f"{key}='{value}'")
        elif argument.startswith("probe.probes=["):
            rewritten.append(f"probe/probes={value}")
        else:
            rewritten.append(argument)
    return rewritten


def _quoted_paths(value: str, sweep: bool) -> str:
    """Return one path, or in a sweep several separated by commas, quoted where Hydra would misread them."""
    if value[:1] in ("'", '"') or "${" in value or (sweep and SWEEP.fullmatch(value)):
        return value
    several = sweep and not Path(value).expanduser().exists()
    return ",".join(_quoted(path) for path in (value.split(",") if several else [value]))


def _quoted(path: str) -> str:
    path = str(Path(path).expanduser()) if path.startswith("~") else path
    if PLAIN_PATH.fullmatch(path):
        return path
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", path)  # in Hydra's grammar backslashes escape only before a quote
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f"'{escaped}'"
