"""The notation for context counts."""

import pytest

from gqn_probe.context_range import parse_counts


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        (7, [7]),
        ("7", [7]),
        ("2..15", list(range(2, 16))),
        ("2..14..3", [2, 5, 8, 11, 14]),
        ("[2,5,9]", [2, 5, 9]),
        ([2, "5..6"], [2, 5, 6]),
        ("range(2,16)", list(range(2, 16))),
        ("'range(2, 9, 3)'", [2, 5, 8]),
        ("4..4", [4]),
    ],
)
def test_reads_every_notation(value, counts):
    assert parse_counts(value) == counts


@pytest.mark.parametrize(
    "value", ["abc", "15..2", "2..9..0", "0", "-3", "", "[]", "[2,2]", "2.5", "range(5,5)", "range(2,9,0)", 0, "²"]
)
def test_refuses_with_value_and_remedy(value):
    with pytest.raises(ValueError, match=r"inclusive range such as 2\.\.15") as caught:
        parse_counts(value)
    assert str(value).strip("[]") in str(caught.value)
    assert "\n" not in str(caught.value)
