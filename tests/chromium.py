"""A page in headless Chromium without a network, driven through its DevTools pipe, as a person would use it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOUND = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 60  # seconds


class Page:
    """One open page; ``requests`` are the addresses that it asked for."""

    def __init__(self, to: int, back: int):
        self._to, self._back, self._number, self._rest, self._session = to, back, 0, b"", None
        self.requests: list[str] = []

    def open(self, path: Path, width: int = 900) -> None:
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Network.enable")
        self._call(
            "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
        )
        self.resize(width)
        self._call("Page.navigate", url=path.as_uri())

    def resize(self, width: int, height: int = 900) -> None:
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def choose(self, field: str, file: Path) -> None:
        """Put a file into an <input type="file">."""
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        node = self._call("DOM.querySelector", nodeId=root, selector=field)["nodeId"]
        self._call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def value(self, expression: str) -> Any:
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """The value of the expression as soon as it is neither false nor empty."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if found := self.value(expression):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{expression} never came; the page says: {self.value('document.body.innerText')}")

    def image(self) -> bytes:
        import base64

        return base64.b64decode(self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._received()
            if found.get("method") == "Network.requestWillBeSent":
                self.requests.append(found["params"]["request"]["url"])
            if found.get("id") == self._number:
                assert "error" not in found, found
                return found["result"]

    def _received(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._back, 1 << 20)
            assert part, "Chromium is gone"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """Chromium with a fresh profile, ended at the end."""
    assert FOUND is not None
    (their_in, to), (back, their_out) = os.pipe(), os.pipe()
    # Chromium takes them as 3 and 4, so they must not have these numbers already.
    their_in, their_out = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (their_in, their_out))
    words = f"--headless=new --no-sandbox --disable-gpu --user-data-dir={profile} --remote-debugging-pipe"
    command = ["bash", "-c", f'exec "$0" {words} 3<&{their_in} 4>&{their_out}', FOUND]
    process = subprocess.Popen(command, pass_fds=(their_in, their_out), stderr=subprocess.DEVNULL)
    os.close(their_in)
    os.close(their_out)
    try:
        yield Page(to, back)
    finally:
        process.terminate()
        process.wait(10)
        os.close(to)
        os.close(back)
