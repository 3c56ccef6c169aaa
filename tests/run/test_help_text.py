"""Help shows what the configuration files say."""

import pytest
from scripts import ROOT

from gqn_probe.run.help_text import help_text


@pytest.mark.parametrize("script", ["train", "probe"])
def test_help_shows_examples_groups_with_choices_and_values(script):
    text = help_text(ROOT / f"{script}.py")
    assert text.count(f"  python {script}.py") >= 5
    for choice in (ROOT / "conf" / "data").glob("*.yaml"):
        assert choice.stem in text
    assert ("  checkpoint " in text) is (script == "probe")
    assert ("  model " in text) is (script == "train")
    assert all(len(line) < 200 for line in text.splitlines())
    assert "${" not in text  # no interpolation is shown as it stands
