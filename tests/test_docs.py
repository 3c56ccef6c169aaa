"""What the documents name is there: tests that hold a promise, files that are linked to; what is told twice agrees."""

import re
import tomllib

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from scripts import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NAMED_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
EXAMPLES = [*DOCUMENTS, ROOT / "src/gqn_probe/weights/README.md", *ROOT.glob("conf/*.yaml")]
COMMAND = re.compile(r"\b(?:python|pip install) [^`\n]*")
NO_ARGUMENT = re.compile(r"'[^']*'|  +[#\w].*| #.*")  # quoted, or a comment
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


def test_every_promise_names_a_test_that_exists():
    named = NAMED_TEST.findall((ROOT / "docs" / "robustness.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / "tests" / file).read_text()]
    assert not missing


def test_commands_are_quoted_for_every_shell():
    """Zsh, the shell of macOS, matches files with a bracket; bash stops at a parenthesis."""
    texts = [path.read_text(encoding="utf-8").replace("\\\n   ", "") for path in EXAMPLES]
    commands = [command for text in texts for command in COMMAND.findall(text)]
    assert len(commands) > 100
    assert not [command for command in commands if set("[]{}()") & set(NO_ARGUMENT.sub("", command))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    missing = [
        link for link in LINK.findall(document.read_text(encoding="utf-8")) if not (document.parent / link).exists()
    ]
    assert not missing


def test_conda_and_citation_agree_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python, pip, by_pip = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert python.removeprefix("python=") in SpecifierSet(project["requires-python"])
    assert (pip, by_pip) == ("pip", {"pip": ["-e .[dev]"]})  # no list of packages beside that of the package
    assert "dev" in project["optional-dependencies"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


def test_the_readme_is_two_screens():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 110
