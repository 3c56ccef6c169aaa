"""What the documents name is there: tests that hold a promise, files that are linked to, settings of commands."""

import re

import pytest
from scripts import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NAMED_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


def test_every_promise_names_a_test_that_exists():
    named = NAMED_TEST.findall((ROOT / "docs" / "robustness.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (ROOT / "tests" / file).read_text()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    missing = [
        link for link in LINK.findall(document.read_text(encoding="utf-8")) if not (document.parent / link).exists()
    ]
    assert not missing
