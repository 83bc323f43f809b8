"""OHIF's own pages on an Orthanc of the test's, in headless Chromium: what a radiologist would see."""

from __future__ import annotations

import http.client
import io
import json
import mimetypes
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

from tests.conftest import CHECKOUT
from tests.peers.orthanc import Orthanc
from tests.peers.process import missing, need

PAGES = Path(os.environ.get("DICOM_NODE_OHIF") or CHECKOUT / ".cache" / "ohif-3.13.2") / "package" / "dist"
ORTHANC_OPTIONS = {
    "DicomWeb": {
        "Enable": True,
        "Root": "/dicom-web/",
        "StudiesMetadata": "Full",
        "SeriesMetadata": "Full",
    }
}
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length"}
_TYPES = {".wasm": "application/wasm", ".js": "text/javascript", ".mjs": "text/javascript"}
_ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_CONFIGURATION = """
window.config = {
  routerBasename: null, extensions: [], modes: [], customizationService: {}, showStudyList: true,
  maxNumberOfWebWorkers: 2, investigationalUseDialog: {option: 'never'}, defaultDataSourceName: 'orthanc',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'orthanc',
    configuration: {
      friendlyName: 'Orthanc', name: 'orthanc', wadoUriRoot: '/wado', qidoRoot: '/dicom-web',
      wadoRoot: '/dicom-web', qidoSupportsIncludeField: true, imageRendering: 'wadors',
      thumbnailRendering: 'wadors', enableStudyLazyLoad: true, supportsFuzzyMatching: true,
      supportsWildcard: true, omitQuotationForMultipartRequest: true, bulkDataURI: {enabled: true},
    },
  }],
};
"""
_CHROMIUM = (
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--force-color-profile=srgb",
)
_READY = """() => { try {
  const shown = cornerstone.getRenderingEngines().flatMap(engine => engine.getViewports());
  return shown.length > 0 && shown.every(one => one.getImageData && one.getImageData());
} catch (fault) { return false; } }"""
_JUMP = """place => { for (const engine of cornerstone.getRenderingEngines())
  for (const one of engine.getViewports()) {
    let best = 0, least = 1e9;
    one.getImageIds().forEach((id, index) => {
      const plane = cornerstone.metaData.get('imagePlaneModule', id);
      if (!plane || !plane.imagePositionPatient) return;
      const away = Math.abs(plane.imagePositionPatient[2] - place[2]);
      if (away < least) { least = away; best = index; }
    });
    one.setImageIdIndex ? one.setImageIdIndex(best)
      : cornerstone.utilities.jumpToSlice(one.element, {imageIndex: best});
  } }"""
_SEGMENTS = """() => services.segmentationService.getSegmentations().flatMap(
  one => Object.values(one.segments).filter(Boolean).map(segment => segment.label))"""
_AT = """place => { const one = cornerstone.getRenderingEngines()[0].getViewports()[0];
  const on = one.worldToCanvas(place), box = one.canvas.getBoundingClientRect();
  return [box.x + on[0], box.y + on[1]]; }"""


class _Handler(BaseHTTPRequestHandler):
    orthanc_port = 0

    def log_message(self, *words: object) -> None:
        pass

    def answer(self, code: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.send_response(code)
        for name, value in (*headers, *_ISOLATION.items(), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith(("/dicom-web", "/wado")):
            self.forward()
        elif path == "/app-config.js":
            self.answer(200, [("Content-Type", "text/javascript")], _CONFIGURATION.encode())
        else:
            self.page(path)

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def page(self, path: str) -> None:
        file = (PAGES / path.lstrip("/")).resolve()
        if PAGES.resolve() not in file.parents or not file.is_file():
            if Path(path).suffix:
                self.answer(404, [], b"")
                return
            file = PAGES / "index.html"
        kind = _TYPES.get(file.suffix) or mimetypes.guess_type(file)[0] or "application/octet-stream"
        self.answer(200, [("Content-Type", kind)], file.read_bytes())

    def forward(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        headers["Forwarded"] = f"host={self.headers['Host']};proto=http"
        connection = http.client.HTTPConnection("127.0.0.1", self.orthanc_port, timeout=60)
        connection.request(self.command, self.path, self.rfile.read(length) or None, headers)
        response = connection.getresponse()
        kept = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP]
        body = response.read()
        connection.close()
        self.answer(response.status, kept, body)


@contextmanager
def pages(orthanc: Orthanc) -> Iterator[str]:
    """Serves OHIF's pages and Orthanc's DICOMweb on one origin; gives its address."""
    if not (PAGES / "index.html").exists():
        missing("OHIF's pages are not there; scripts/install-viewer.sh fetches them")

    handler = type("Handler", (_Handler,), {"orthanc_port": orthanc.http_port})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def upload(orthanc: Orthanc, files: Sequence[bytes]) -> None:
    """Stores files by REST, whatever their SOP class."""
    for content in files:
        connection = http.client.HTTPConnection("127.0.0.1", orthanc.http_port, timeout=60)
        connection.request("POST", "/instances", content)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        if json.loads(body).get("Status") not in ("Success", "AlreadyStored"):
            raise OSError(f"Orthanc refused an object: {response.status}")


class Viewer:
    """One study in OHIF."""

    def __init__(self, page: Any, address: str, study_instance_uid: str) -> None:
        self.page = page
        page.add_init_script(
            'localStorage.setItem(\'shownTours\', \'["basicViewerTour","basicTour","longitudinalTour"]\')'
        )
        page.goto(f"{address}/viewer?StudyInstanceUIDs={study_instance_uid}")
        page.wait_for_selector('[data-cy^="study-browser-thumbnail"]', timeout=90_000)
        page.wait_for_function(_READY, timeout=90_000)
        page.wait_for_timeout(500)
        if page.get_by_text("Skip all").count():
            page.get_by_text("Skip all").first.click()

    def load(self, series_number: int, *, asks: bool) -> None:
        """Opens a series as a person does: by a double click on its thumbnail; says yes where it asks."""
        thumbnails = '[data-cy="study-browser-thumbnail"],[data-cy="study-browser-thumbnail-no-image"]'
        number = re.compile(rf"S:{series_number}(\D|$)")
        thumbnail = self.page.locator(thumbnails).filter(has_text=number).first
        thumbnail.scroll_into_view_if_needed()
        thumbnail.dblclick()
        if asks:
            self.page.get_by_role("button", name="Yes", exact=True).click(timeout=60_000)
        self.page.wait_for_timeout(2500)

    def goto(self, place: Sequence[float]) -> None:
        """Shows the slice that a point in patient coordinates lies on."""
        self.page.evaluate(_JUMP, [float(value) for value in place])
        self.page.wait_for_timeout(1200)

    def shot(self, path: Path) -> Image.Image:
        """A picture of the whole page, kept as a file too."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return Image.open(io.BytesIO(self.page.screenshot(path=str(path)))).convert("RGB")

    def at(self, place: Sequence[float]) -> tuple[int, int]:
        """Where on the page a point in patient coordinates is."""
        x, y = self.page.evaluate(_AT, [float(value) for value in place])
        return round(x), round(y)

    def segments(self) -> set[str]:
        """Labels of the segments that are loaded."""
        return set(self.page.evaluate(_SEGMENTS))

    def words(self) -> str:
        """All text on the page."""
        return str(self.page.evaluate("() => document.body.innerText"))

    @property
    def shown(self) -> bool:
        """Whether every viewport holds an image, and no error is told."""
        return bool(self.page.evaluate(_READY)) and not self.page.get_by_text("Something went wrong").count()


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright is not installed")
    program = need("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(program), headless=True, args=list(_CHROMIUM)
        )
        try:
            yield browser
        finally:
            browser.close()


def hue(color: tuple[int, ...]) -> str:
    """The name of a pixel's colour."""
    r, g, b = color[:3]
    high, low = max(r, g, b), min(r, g, b)
    if high - low < 18:
        return "grey"
    if r > 110 and g > 90 and b < min(r, g) - 40:
        return "yellow"
    return "red" if r == high else "green" if g == high else "blue"


def hues(picture: Image.Image, at: tuple[int, int], reach: int = 0) -> set[str]:
    """The colours within some pixels of a point."""
    x, y = at
    around = range(-reach, reach + 1)
    return {hue(picture.getpixel((x + right, y + down))) for right in around for down in around}  # type: ignore[arg-type]  # of an RGB picture
