"""The page in headless Chromium: quiet console, no request, pictures drawn, nothing wider than a phone."""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from viewer_pictures import viewer_colour

from gqn_probe.report.figure_registry import OF_COUNTS, draw_figures, find_figures
from gqn_probe.report.page import build_report
from gqn_probe.report.study_results import read_study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which("chromedriver") and shutil.which("chromium")), reason="needs chromium"),
]
LEFT, UP, RIGHT = "\ue012", "\ue013", "\ue014"  # keys
PATIENCE = 60.0  # seconds, on a busy machine
PHONE = {"width": 390, "height": 844, "pixelRatio": 2.0, "mobile": True}


class Browser:
    """A WebDriver session of an emulated phone, spoken to over HTTP on the loopback."""

    def __init__(self, port: int, profile: Path) -> None:
        self.address = f"http://127.0.0.1:{port}/session"
        options = {
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"],
            "mobileEmulation": {"deviceMetrics": PHONE},
        }
        always = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        session = self._send("POST", "", {"capabilities": {"alwaysMatch": always}})
        self.address += f"/{session['sessionId']}"

    def open(self, page: Path) -> None:
        """Load a page anew and wait for its scripts: the driver may answer before they have run."""
        self._send("POST", "/url", {"url": "about:blank"})
        self._send("POST", "/url", {"url": page.resolve().as_uri()})
        self.expect("return document.readyState + location.pathname", f"complete{page.resolve()}")
        self.expect("return document.querySelector('.viewer .status').textContent !== ''", True)

    def run(self, script: str) -> Any:
        return self._send("POST", "/execute/sync", {"script": script, "args": []})

    def expect(self, script: str, value: Any) -> None:
        """Wait until a script returns a value: keys, clicks and pictures take effect in their own time."""
        end = time.monotonic() + PATIENCE
        while (last := self.run(script)) != value and time.monotonic() < end:
            time.sleep(0.05)
        assert last == value

    def act(self, actions: list[dict[str, Any]]) -> None:
        self._send("POST", "/actions", {"actions": actions})

    def log(self, kind: str) -> list[dict[str, Any]]:
        return self._send("POST", "/se/log", {"type": kind})

    def close(self) -> None:
        self._send("DELETE", "")

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, method=method)
        with urllib.request.urlopen(request, timeout=900) as answer:
            return json.load(answer)["value"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    log = tmp_path_factory.mktemp("driver") / "log"
    with log.open("w") as file:
        driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=file, stderr=file)
    try:
        started = Browser(_port(log), tmp_path_factory.mktemp("profile"))
        yield started
        started.close()
    finally:
        driver.terminate()
        driver.wait(timeout=900)


@pytest.fixture(scope="module")
def page(study_folder: Path) -> Path:
    study = read_study(study_folder)
    return build_report(study, draw_figures(study))


@pytest.fixture
def opened(browser: Browser, page: Path) -> Browser:
    """The browser as it shows the page before anything is pressed."""
    browser.open(page)
    return browser


def test_console_is_quiet_and_no_request_leaves(opened: Browser):
    assert opened.log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in opened.log("performance")]
    sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    requested = [e["request"]["url"] for e in sent if e["documentURL"].endswith("report.html")]
    assert requested
    assert [url for url in requested if not url.startswith(("file:", "data:"))] == []


def test_fits_a_phone(opened: Browser):
    assert opened.run("return window.innerWidth") == PHONE["width"]
    assert opened.run("return document.documentElement.scrollWidth") <= PHONE["width"]


def test_every_picture_is_drawn(opened: Browser):
    opened.run("document.querySelectorAll('details').forEach(part => part.open = true)")
    sizes = opened.run("return [...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().height)")
    assert len(sizes) == sum(each.section in OF_COUNTS for each in find_figures().values())
    assert min(sizes) > 100


def test_tables_sort(opened: Browser):
    column = "[...document.querySelectorAll('#counts tbody tr')].map(r => r.cells[0].textContent)"
    click = "document.querySelector('#counts th button').click();"
    rising, falling = opened.run(f"{click} return {column}"), opened.run(f"{click} return {column}")
    assert rising == [str(k) for k in range(2, 16)]
    assert falling == rising[::-1]


def expect(browser: Browser, thing: int, count: int, row: int, column: int, kind: str = "mean") -> None:
    """The viewer shows an object from a camera, as predicted from some images, and all that belongs beside it."""
    place = (1, column) if kind == "without" else (row, column)
    expected = {
        "mean": list(viewer_colour(thing, kind, count, row, column)),
        "truth": list(viewer_colour(thing, "truth", 0, *place)),
        "other": list(viewer_colour(1 - thing, "mean", count, *place)),
        "spread": list(viewer_colour(thing, "spread", count, *place)),
    }
    pixel = "document.querySelector(`[data-panel=${name}]`).getContext('2d').getImageData(8, 8, 1, 1).data"
    panels = f"{json.dumps(list(expected))}.map(name => [name, [...{pixel}].slice(0, 3)])"
    browser.expect(f"return Object.fromEntries({panels})", expected)


def press(browser: Browser, *keys: str) -> None:
    """Keys, one after another, where the focus is."""
    actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
    browser.act([{"type": "key", "id": "keys", "actions": actions}])


def test_the_viewer_answers_keys_slider_and_clicks(opened: Browser):
    expect(opened, 0, 2, 1, 1)
    status = "2 images; camera at 90°, 15° up; error 2 of 255"
    opened.expect(f"return document.querySelector('.status').textContent.includes({json.dumps(status)})", True)
    opened.run("document.querySelector('.stage').focus()")
    press(opened, RIGHT, UP)
    expect(opened, 0, 2, 2, 2)
    press(opened, UP, LEFT, LEFT, LEFT)  # no higher than the highest; all the way around
    expect(opened, 0, 2, 2, 3)
    press(opened, "+")
    expect(opened, 0, 5, 2, 3)
    press(opened, "+", "-", "-")
    expect(opened, 0, 1, 2, 3)
    opened.run("document.querySelector('.count input').focus()")
    press(opened, RIGHT)
    expect(opened, 0, 2, 2, 3)
    opened.run("document.querySelectorAll('.choices button')[1].click()")
    expect(opened, 1, 2, 2, 3)


def test_cubes_turn_with_the_camera_where_they_were_read(opened: Browser):
    opened.run("document.querySelector('.stage').focus()")
    told = "document.querySelector('[data-score]').textContent"
    drawn = "document.querySelector('[data-panel=cubes]').toDataURL()"
    blank = opened.run(f"return {drawn}")
    opened.expect(f"return {told}", "")  # of 2 images none were read
    press(opened, "+")
    opened.expect(f"return {told}", " · 2 of 2 cubes")
    first = opened.run(f"return {drawn}")
    press(opened, LEFT)
    shown = f"[{json.dumps(blank)}, {json.dumps(first)}]"
    opened.expect(f"return {shown}.includes({drawn})", False)
    assert blank != first


def test_an_image_is_left_out_until_it_is_pressed_again(opened: Browser):
    buttons = "document.querySelectorAll('.context button')"
    opened.expect(f"return [...{buttons}].filter(button => !button.hidden).length", 2)
    opened.run(f"{buttons}[1].click()")
    expect(opened, 0, 2, 1, 1, kind="without")
    opened.expect(f"return {buttons}[1].getAttribute('aria-pressed')", "true")
    opened.run(f"{buttons}[1].click()")
    expect(opened, 0, 2, 1, 1)


def test_dragging_turns_the_camera(opened: Browser):
    opened.run("document.querySelector('.viewer').scrollIntoView()")
    place = opened.run(
        "const box = document.querySelector('.stage').getBoundingClientRect();"
        "return [box.x + box.width / 2, box.y + box.height / 2, document.querySelector('.stage canvas').clientWidth]"
    )
    x, y, width = (round(value) for value in place)
    move = {"type": "pointerMove", "duration": 50, "origin": "viewport", "x": x, "y": y}
    actions = [
        move,
        {"type": "pointerDown", "button": 0},
        {**move, "x": x - width // 5},
        {"type": "pointerUp", "button": 0},
    ]
    opened.act([{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}])
    expect(opened, 0, 2, 1, 2)


@pytest.mark.parametrize(("scheme", "brightness"), [("light", 250), ("dark", 20)])
def test_follows_the_colour_scheme(browser: Browser, opened: Browser, scheme: str, brightness: int):
    emulate = {"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser._send("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": emulate})
    paper = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    browser.expect(f"return {paper}.every(channel => Math.abs(channel - {brightness}) < 12)", True)


def _port(log: Path) -> int:
    """The port that chromedriver chose, read from its log."""
    for _ in range(1200):  # two minutes, on a busy machine
        words = log.read_text().split("on port ")
        if len(words) > 1 and words[-1].split(".")[0].isdigit():
            return int(words[-1].split(".")[0])
        time.sleep(0.1)
    raise TimeoutError(f"chromedriver did not start: {log.read_text()}")
