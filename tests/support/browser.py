"""A headless Chromium for tests of pages, driven through chromedriver's plain HTTP (W3C WebDriver).

A dozen calls are all that the tests need, so no client library is installed for them. Only files are opened; nothing goes
over a network but to the driver on the loopback.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which WebDriver returns an element."""
KEYS = {
    "Escape": "\ue00c",
    "ArrowRight": "\ue014",
    "ArrowLeft": "\ue012",
    "Home": "\ue011",
    "End": "\ue010",
    "Enter": "\ue007",
}


def missing() -> str:
    """Why there can be no test in a browser; empty where there can be."""
    wanted = {"Chromium": any(map(shutil.which, BROWSERS)), "chromedriver": shutil.which("chromedriver")}
    absent = [name for name, found in wanted.items() if not found]
    return f"no {' and no '.join(absent)} on PATH (Debian: apt-get install chromium chromium-driver)" if absent else ""


class Browser:
    """One browser window. `with Browser(390, 844, phone=True) as browser: browser.open(path)`."""

    def __init__(self, width: int = 1440, height: int = 900, phone: bool = False, dark: bool = False) -> None:
        """phone: touch and a device's own width, in which a page may not scroll sideways."""
        self._size, self._phone, self._dark = (width, height), phone, dark

    def __enter__(self) -> Browser:
        self._folder = tempfile.TemporaryDirectory()
        self._driver = subprocess.Popen(
            [str(shutil.which("chromedriver")), "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._driver.stdout is not None
        port = next(
            found[1]
            for line in self._driver.stdout
            if (found := re.search(r"started successfully on port (\d+)", line))
        )
        self._root = f"http://127.0.0.1:{port}/session"
        self._session = ""
        self._session = self._call("POST", "", {"capabilities": {"alwaysMatch": self._wanted()}})["sessionId"]
        features = [{"name": "prefers-color-scheme", "value": "dark" if self._dark else "light"}]
        self.devtools("Emulation.setEmulatedMedia", features=features)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.communicate()
            self._folder.cleanup()

    def _wanted(self) -> dict[str, Any]:
        width, height = self._size
        options: dict[str, Any] = {
            "binary": next(path for name in BROWSERS if (path := shutil.which(name))),
            "args": [
                "--headless=new", f"--window-size={width},{height}", "--hide-scrollbars", "--disable-gpu",
                "--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={self._folder.name}",
                # Root, as in a container, has no sandbox of Chromium's; the pages are our own.
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
            ],
        }  # fmt: skip
        if self._phone:
            options["mobileEmulation"] = {
                "deviceMetrics": {"width": width, "height": height, "pixelRatio": 2, "touch": True}
            }
        return {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        url = f"{self._root}/{self._session}{path}".rstrip("/")
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {json.load(error)['value']['message']}") from error

    def open(self, path: Path) -> None:
        """Load a file and wait until it is there."""
        self._call("POST", "/url", {"url": path.as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector: str) -> str:
        """The first element that fits a CSS selector."""
        found: str = self._call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]
        return found

    def click(self, selector: str) -> None:
        """A click in the middle of an element, which has to be visible."""
        self._show(selector)
        self._call("POST", f"/element/{self.find(selector)}/click", {})

    def _show(self, selector: str) -> None:
        """Scroll to an element, clear of the bar at the top, and wait until the page has noticed."""
        middle = "{block: 'center', behavior: 'instant'}"
        drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
        self.run(f"document.querySelector({json.dumps(selector)}).scrollIntoView({middle}); return {drawn}")

    def type(self, selector: str, text: str) -> None:
        """Keys for an element, which gets the focus; names of KEYS are single keys."""
        self._show(selector)
        self._call("POST", f"/element/{self.find(selector)}/value", {"text": KEYS.get(text, text)})

    def clear(self, selector: str) -> None:
        """Empty an input."""
        self._call("POST", f"/element/{self.find(selector)}/clear", {})

    def hover(self, selector: str, x: int = 0, y: int = 0) -> None:
        """The pointer to a place of an element, counted from its middle, once it has been scrolled to."""
        self._show(selector)
        move = {"type": "pointerMove", "duration": 0, "x": x, "y": y, "origin": {ELEMENT: self.find(selector)}}
        moves = [{**move, "x": x + 3}, move]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": moves}
        self._call("POST", "/actions", {"actions": [mouse]})

    def text(self, selector: str) -> str:
        """The text of an element as it is shown."""
        shown: str = self._call("GET", f"/element/{self.find(selector)}/text")
        return shown

    def devtools(self, command: str, **parameters: Any) -> Any:
        """Chromium's own protocol, for what WebDriver has no word for."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def complaints(self) -> list[str]:
        """Messages in the console since the last look."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """Addresses that pages asked for since the last look."""
        entries = [
            json.loads(entry["message"])["message"] for entry in self._call("POST", "/se/log", {"type": "performance"})
        ]
        return [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]

    def picture(self, path: Path, whole: bool = False) -> None:
        """A screenshot. whole: of the whole page instead of the window."""
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self._call("POST", "/print", {"background": True}))
