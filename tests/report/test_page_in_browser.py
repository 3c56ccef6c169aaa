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

from gqn_probe.report.figure_registry import draw_figures, find_figures
from gqn_probe.report.page import build_report
from gqn_probe.study_results import read_study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which("chromedriver") and shutil.which("chromium")), reason="needs chromium"),
]
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
        self._send("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script: str) -> Any:
        return self._send("POST", "/execute/sync", {"script": script, "args": []})

    def log(self, kind: str) -> list[dict[str, Any]]:
        return self._send("POST", "/se/log", {"type": kind})

    def close(self) -> None:
        self._send("DELETE", "")

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
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
        driver.wait(timeout=30)


@pytest.fixture(scope="module")
def opened(browser: Browser, study_folder: Path) -> Browser:
    study = read_study(study_folder)
    browser.open(build_report(study, draw_figures(study)))
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
    sizes = opened.run("return [...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().height)")
    assert len(sizes) == len(find_figures())
    assert min(sizes) > 100


def test_tables_sort(opened: Browser):
    column = "[...document.querySelectorAll('#counts tbody tr')].map(r => r.cells[0].textContent)"
    click = "document.querySelector('#counts th button').click();"
    rising, falling = opened.run(f"{click} return {column}"), opened.run(f"{click} return {column}")
    assert rising == [str(k) for k in range(2, 16)]
    assert falling == rising[::-1]


@pytest.mark.parametrize(("scheme", "brightness"), [("light", 250), ("dark", 20)])
def test_follows_the_colour_scheme(browser: Browser, opened: Browser, scheme: str, brightness: int):
    emulate = {"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser._send("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": emulate})
    paper = browser.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert max(abs(channel - brightness) for channel in paper) < 12


def _port(log: Path) -> int:
    """The port that chromedriver chose, read from its log."""
    for _ in range(100):
        words = log.read_text().split("on port ")
        if len(words) > 1 and words[-1].split(".")[0].isdigit():
            return int(words[-1].split(".")[0])
        time.sleep(0.1)
    raise TimeoutError(f"chromedriver did not start: {log.read_text()}")
