"""``--help`` of the scripts, read from the comments of their configuration files: each thing is described once."""

import re
from pathlib import Path

ENTRY = re.compile(r"\s+- (?:override )?(\w+): ([^\s#]+)(?:\s+# (.*))?")
OVERRIDE = re.compile(r"- override /(\w+):")
SECTION = re.compile(r"^(\w+):", re.MULTILINE)
VALUE = re.compile(r"^(\w+): *([^#\n]*?) *# (.*)", re.MULTILINE)
FOOTER = """\
-m runs a job for each combination of comma-separated values: seed=0,1,2
--cfg job prints the whole configuration; NAME.KEY=VALUE changes any value of it
--hydra-help shows Hydra's own options, among them shell completion
"""


def help_text(script: Path) -> str:
    """What a script is for, examples, its groups with their choices, its top-level values."""
    conf = script.resolve().parent / "conf"
    text = (conf / f"{script.stem}.yaml").read_text(encoding="utf-8")
    introduction, _, rest = text.partition("\ndefaults:\n")
    entries, _, values = rest.partition("\n\n")
    lines = [line.removeprefix("#").removeprefix(" ") for line in introduction.splitlines()]
    lines += ["", "Groups (NAME=CHOICE):"]
    groups = ENTRY.findall(entries)
    for name, default, description in groups:
        if name == "experiment":
            lines += [f"  {name:<16} {description} [{default}]", *_experiments(conf, {group for group, *_ in groups})]
        elif description:
            lines += _group(conf, name, default, description)
    lines += ["", "Values (NAME=VALUE):"]
    for name, default, description in VALUE.findall(values):
        lines.append(f"  {name:<16} {description} [{default}]")
    return "\n".join([*lines, "", FOOTER])


def _group(conf: Path, name: str, default: str, description: str) -> list[str]:
    lines = [f"  {name:<16} {description} [{default}]"]
    for folder in (conf / name, *sorted(path for path in (conf / name).iterdir() if path.is_dir())):
        group = folder.relative_to(conf).as_posix()
        choices = ", ".join(path.stem for path in sorted(folder.glob("*.yaml")))
        lines.append(f"    {choices}" if group == name else f"  {group:<16} {choices}")
    return lines


def _experiments(conf: Path, groups: set[str]) -> list[str]:
    """Each experiment that overrides groups of this script alone, with the first line that describes it."""
    lines = []
    for path in sorted((conf / "experiment").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        comments = [line[2:] for line in text.splitlines() if line.startswith("# ") and not line.startswith("# @")]
        if {*groups, "defaults"}.issuperset([*OVERRIDE.findall(text), *SECTION.findall(text)]):
            lines.append(f"    {path.stem:<14} {next(iter(comments), '')}")
    return lines
