"""Camera tables as people and spreadsheets write them; mistakes are reported with their line."""

import math
import time

import pytest

from gqn_probe.data.formats.camera_table import read_camera_table

HEAD = "scene,image,x,y,z,yaw,pitch"
ROWS = [("a", "a0.png", 1.5, -2, 3, 0.25, -0.5), ("a", "a1.png", 0, 2e-3, 3, 6, 1), ("b", "b0.png", 1, 2, 3, 4, 0)]
PLAIN = "\n".join([HEAD, *(",".join(map(str, row)) for row in ROWS)])


def read(text: str | bytes, angles: str = "radians") -> list[tuple]:
    content = text.encode() if isinstance(text, str) else text
    scenes = read_camera_table(content, "cameras.csv", angles=angles)
    return [(scene.name, view.image, *view.camera) for scene in scenes for view in scene.views]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";").replace(".", ",").replace(",png", ".png"),  # a decimal comma
        PLAIN.replace("1.5", '"1,5"'),
        PLAIN.replace(",", " , ").replace("scene", " Scene ").replace("yaw", "Yaw"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "sep=;\n" + PLAIN.replace(",", ";"),
        "\ufeff" + PLAIN,
        PLAIN.encode("utf-16"),
        PLAIN + "\n,,,,,,\n\n,,,,,,,,,\n",
        "\n".join(line + ",," for line in PLAIN.splitlines()),
    ],
    ids=range(13),
)
def test_the_same_table_in_many_spellings(text: str | bytes) -> None:
    assert read(text) == [tuple(row) for row in ROWS]


def test_degrees_are_asked_for_and_converted() -> None:
    table = f"{HEAD}\na,0.png,1,2,3,270,-30\na,1.png,1,2,3,-171.5,0"
    assert [row[5:] for row in read(table, angles="degrees")] == [
        (math.radians(270), math.radians(-30)),
        (math.radians(-171.5), 0),
    ]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("a,0.png,1,5,2,3,0,1,0,2", "line 2 has 10 cells where the head has 7: write numbers with points"),
        ("a,0.png,1,2,3,0", "line 2: pitch is empty: give a finite number"),
        ("a,0.png,1,2,3,270,0", "line 2: yaw=270 and pitch=0 cannot be radians: set data.angles=degrees"),
        ("a,0.png,1,2,3,0,0\na,1.png,1,2,3,-171.5,0", "line 3: yaw=-171.5 and pitch=0 cannot be radians"),
        ("a,0.png,1,2,3,6.4,0", r"line 2: yaw=6.4 .*, else write yaw in -pi\.\.pi"),
        ("a,0.png,1,2,3,0,-30", "line 2: yaw=0 and pitch=-30 cannot be radians"),
        ("a,0.png,1,2,3,0,0\na,1.png,1,2,3,0,0\na,0.png,1,2,3,0,0", "line 4: image 0.png is already in line 2"),
        ("a,0.png,1,2,3,0,0\nb,0.png,1,2,3,0,0", "line 3: image 0.png is already in line 2: give it one row"),
        ("a,0.png,1,2,3,0,inf", "line 2: pitch is inf: give a finite number"),
        ("a,0.png,1,,3,0,1", "line 2: y is empty: give a finite number"),
        ('a,"0.png,1,2,3,0,0', "line 2: x is empty: give a finite number"),
        ("a,0.png,1,2,3,0,0\nb,1.png,1,2,3,0,0\na,2.png,1,2,3,0,0", "line 4: the rows of scene a are not consecutive"),
    ],
)
def test_what_cannot_be_meant_is_refused(rows: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"cameras.csv, {reason}"):
        read(f"{HEAD}\n{rows}\n")


def test_pitch_in_degrees_has_its_range() -> None:
    with pytest.raises(ValueError, match=r"line 2: yaw=0 and pitch=100 cannot be degrees: pitch is in -90..90"):
        read(f"{HEAD}\na,0.png,1,2,3,0,100", angles="degrees")


@pytest.mark.slow
def test_the_time_to_read_a_table_grows_with_its_length_not_with_its_square() -> None:
    seconds = []
    for scenes in (2_000, 20_000):
        rows = "\n".join(f"{n},{n}.png,1,2,3,0,0" for n in range(scenes))
        began = time.process_time()
        assert len(read(f"{HEAD}\n{rows}")) == scenes
        seconds.append(time.process_time() - began)
    assert seconds[1] < 40 * seconds[0]
