"""Command line of the scripts: arguments in Hydra's grammar, ``--help``, and one-line errors."""

import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gqn_probe.run.cli_errors import USER_ERRORS, check_value_types, one_line
from gqn_probe.run.devices import ErrorLog
from gqn_probe.run.job import in_sweep, is_first_process, output_folder

# Processes of further devices inherit the variable that `launch` sets.
TRACEBACK_WANTED = os.environ.get("HYDRA_FULL_ERROR") == "1" and "LOCAL_RANK" not in os.environ
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
# ``--help`` is made of the comments of the configuration files, the only place that describes them.
ENTRY = re.compile(r"\s+- (?:override )?(\w+): ([^\s#]+)(?:\s+# (.*))?")
OVERRIDE = re.compile(r"- override /(\w+):")
SECTION = re.compile(r"^(\w+):", re.MULTILINE)
VALUE = re.compile(r"^(\w+): *([^#\n]*?) *# (.*)", re.MULTILINE)
FOOTER = """\
-m makes one run for each combination of comma-separated values, such as seed=0,1,2
NAME.KEY=VALUE changes any value of the configuration; --cfg job prints them, the files in conf/ explain them
--hydra-help shows Hydra's own options, such as shell completion
"""


class Terminated(KeyboardInterrupt):
    """SIGTERM, on which a script ends as on Ctrl-C, so that W&B's run and the terminal are left in order."""


def launch(main: Callable[[], Any], rewrite: Callable[[list[str]], list[str]] = list) -> None:
    """Run a ``hydra.main`` function; report a user's error as one line on stderr, with exit status 1.

    Ctrl-C and SIGTERM end it with one line and status 128 + signal. ``HYDRA_FULL_ERROR=1`` in the environment shows
    the traceback of an error. ``rewrite`` maps the command line before Hydra reads it.
    """
    if {"-h", "--help"} & set(sys.argv):
        print(help_text(Path(sys.argv[0])))
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors instead of printing them
    signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.argv[1:] = hydra_arguments(rewrite(sys.argv[1:]))
        main()
    except (KeyboardInterrupt, SystemExit) as ended:
        interrupt = ended.__context__ if isinstance(ended, SystemExit) else ended  # Lightning makes an exit of it
        if not isinstance(interrupt, KeyboardInterrupt):
            raise
        print(str(interrupt) or "interrupted", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT))
    except USER_ERRORS as error:
        if TRACEBACK_WANTED:
            raise
        sys.exit(f"error: {one_line(error)}")


def _terminate(number: int, frame: object) -> None:
    raise Terminated


def report_user_errors(recipe: Callable[[DictConfig], Any], cfg: DictConfig) -> Any:
    """Run a recipe as a Hydra job, and exit with one line on a user's error.

    In a sweep the error is raised, in one line, for the sweeper to report the job and continue with the others. Of the
    processes of several devices, the first that fails reports the error.
    """
    errors = ErrorLog(output_folder() / f"{Path(sys.argv[0]).stem}.log")  # Hydra's, of the first process
    try:
        check_value_types(cfg)
        return recipe(cfg)
    except KeyboardInterrupt as interrupt:
        hydra = HydraConfig.get()
        if not in_sweep() and cfg.name != "probe":  # whose finished counts are kept
            raise
        folder = f"hydra.sweep.dir={hydra.sweep.dir}" if in_sweep() else f"hydra.run.dir={hydra.run.dir}"
        raise type(interrupt)(f"interrupted; to continue: the same command with {folder}") from None
    except Exception as error:
        line, users = one_line(error), isinstance(error, USER_ERRORS) and not TRACEBACK_WANTED
        if in_sweep() and users:
            raise ValueError(line) from error
        if not in_sweep() and not errors.add(line):
            # After an error's status in another process, Lightning kills a first one that still ends its W&B run.
            sys.exit(1 if is_first_process() else 0)
        if users:
            sys.exit(f"error: {line}")
        raise


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


def help_text(script: Path) -> str:
    """Return the help of a script: purpose, examples, groups with their choices, top-level values."""
    conf = script.resolve().parent / "conf"
    text = (conf / f"{script.stem}.yaml").read_text(encoding="utf-8")
    introduction, _, rest = text.partition("\ndefaults:\n")
    entries, _, values = rest.partition("\n\n")
    lines = [line.removeprefix("#").removeprefix(" ") for line in introduction.splitlines()]
    lines += ["", "Groups (NAME=CHOICE):"]
    groups, settings = ENTRY.findall(entries), VALUE.findall(values)
    for name, default, description in groups:
        if name == "experiment":
            known = {known for known, *_ in groups + settings}
            lines += [f"  {name:<16} {description} [{default}]", *_experiments(conf, known)]
        elif description:
            lines += _group(conf, name, default, description)
    lines += ["", "Values (NAME=VALUE):"]
    for name, default, description in settings:
        lines.append(f"  {name:<16} {description}" + (f" [{default}]" if default else ""))
    return "\n".join([*lines, "", FOOTER])


def _group(conf: Path, name: str, default: str, description: str) -> list[str]:
    default = re.sub(r"\$\{(\w+)\}", r"that of \1", default)
    lines = [f"  {name:<16} {description} [{default}]"]
    for folder in (conf / name, *sorted(path for path in (conf / name).iterdir() if path.is_dir())):
        group = folder.relative_to(conf).as_posix()
        choices = [path.stem for path in sorted(folder.glob("*.yaml"))]
        if group != name:
            lines += wrap(", ".join(choices), 110, initial_indent=f"  {group:<16} ", subsequent_indent=" " * 19)
        elif len(choices) > 1:
            lines += wrap(", ".join(choices), 110, initial_indent=" " * 4, subsequent_indent=" " * 4)
    return lines


def _experiments(conf: Path, known: set[str]) -> list[str]:
    """Return each experiment that sets only groups and values ``known`` to the script, and its first comment."""
    lines = []
    for path in sorted((conf / "experiment").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        comments = [line[2:] for line in text.splitlines() if line.startswith("# ") and not line.startswith("# @")]
        if {*known, "defaults"}.issuperset([*OVERRIDE.findall(text), *SECTION.findall(text)]):
            lines.append(f"    {path.stem:<16} {next(iter(comments), '')}")
    return lines
