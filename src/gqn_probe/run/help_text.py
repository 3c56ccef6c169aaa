"""Text of ``--help``, made of the comments of the configuration files, the only place that describes them."""

import re
from pathlib import Path
from textwrap import wrap

ENTRY = re.compile(r"\s+- (?:override )?(\w+): ([^\s#]+)(?:\s+# (.*))?")
OVERRIDE = re.compile(r"- override /(\w+):")
SECTION = re.compile(r"^(\w+):", re.MULTILINE)
VALUE = re.compile(r"^(\w+): *([^#\n]*?) *# (.*)", re.MULTILINE)
FOOTER = """\
-m makes one run for each combination of comma-separated values, such as seed=0,1,2
NAME.KEY=VALUE changes any value of the configuration; --cfg job prints them, the files in conf/ explain them
--hydra-help shows Hydra's own options, such as shell completion
"""


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
