"""Every page of what was built, as a browser shows it: wide and narrow, light and dark.

The preview, and the site in ``_book`` where Quarto made it; served, and from disk.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urlsplit

import pytest

from .conftest import ROOT

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
FLAGS += ["--disable-component-update", "--no-first-run"]
QUARTO = ROOT / "_book" / "site_libs"
WIDE, NARROW = 1400, 400

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is on PATH")

LOOK = """() => ({
    ids: [...document.querySelectorAll('[id]')].map(e => e.id),
    links: [...document.querySelectorAll('a[href]')].map(e => e.href),
    missing: [...document.querySelectorAll('main img')].filter(
        e => !e.naturalWidth).map(e => e.src),
    scripts: [...document.querySelectorAll('script[src*=plotly]')].length,
    moving: document.querySelectorAll('.plotly-graph-div').length,
    figures: [...document.querySelectorAll('main figure')].filter(
        e => !e.parentElement.closest('figure')).map(e => ({
            name: (e.closest('[id]') || e).id,
            caption: (e.querySelector('figcaption') || e).innerText.trim(),
            alt: [...e.querySelectorAll('img[alt], [aria-label]')].map(
                a => a.getAttribute('alt') || a.getAttribute('aria-label') || '').join('')})),
    cards: [...document.querySelectorAll('main figure img')].map(
        e => getComputedStyle(e).backgroundColor),
    ink: getComputedStyle(document.body).color,
    paper: getComputedStyle(document.body).backgroundColor,
    overflow: document.documentElement.scrollWidth - innerWidth})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(
    scope="module",
    params=[
        "preview",
        pytest.param(
            "quarto", marks=pytest.mark.skipif(not QUARTO.exists(), reason="no _book by Quarto")
        ),
    ],
)
def site(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("preview") if request.param == "preview" else ROOT / "_book"


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def paths(site: Path) -> list[str]:
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))


class Visit:
    """A browser's window, with all that went wrong in it."""

    def __init__(self, browser: Any, *, width: int = WIDE, scheme: str = "light") -> None:
        self.wrong: list[str] = []
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.page = self.context.new_page()
        self.page.on("console", lambda m: m.type in {"error", "warning"} and self._note(m.text))
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self.page.on("request", self._request)
        self.page.on("requestfailed", lambda request: self._note(f"failed: {request.url}"))

    def look(self, address: str) -> dict[str, Any]:
        """Open a page; what is on it."""
        self.page.goto(address, wait_until="load")
        if self.page.query_selector(".plotly-graph-div"):
            self.page.wait_for_selector(".plotly-graph-div .slider-rail-rect")
        return self.page.evaluate(LOOK)

    def close(self) -> None:
        self.context.close()

    def _note(self, text: str) -> None:
        self.wrong.append(f"{self.page.url}: {text}")

    def _request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != "127.0.0.1":
            self._note(f"asks for {request.url}")


@pytest.fixture(scope="module")
def seen(browser: Any, site: Path, served: str) -> Callable[..., tuple[dict[str, Any], list[str]]]:
    """What is on each page of the site at a width and in a colour scheme, and what went wrong."""

    @cache
    def see(width: int, scheme: str) -> tuple[dict[str, Any], list[str]]:
        visit = Visit(browser, width=width, scheme=scheme)
        found = {path: visit.look(f"{served}/{path}") for path in paths(site)}
        visit.close()
        return found, visit.wrong

    return see


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_page(seen, width, scheme):
    found, wrong = seen(width, scheme)
    assert wrong == []
    assert sum(len(page["figures"]) for page in found.values()) > 40
    for path, page in found.items():
        assert page["overflow"] <= 0, f"{path} scrolls sideways by {page['overflow']} pixels"
        assert page["missing"] == [], path
        assert page["scripts"] == page["moving"] <= 1, f"{path} loads plotly for nothing, or twice"
        assert set(page["cards"]) <= {"rgb(255, 255, 255)"}, path
        bright = [sum(map(int, page[name][4:-1].split(","))) for name in ("ink", "paper")]
        assert (bright[0] < bright[1]) == (scheme == "light"), f"{path}: {page['ink']} on paper"
        for figure in page["figures"]:
            assert figure["caption"].startswith(("Figure", "Table")), (path, figure)
            assert figure["alt"] or figure["caption"].startswith("Table"), (path, figure)


def test_internal_links_and_their_fragments_resolve(seen, served):
    found = {f"{served}/{path}": page for path, page in seen(WIDE, "light")[0].items()}
    pictures = (".png", ".svg")
    links = {(page, link) for page in found for link in found[page]["links"]}
    links = {(page, link) for page, link in links if not link.endswith(pictures)}
    internal = [(page, *urldefrag(link)) for page, link in links if link.startswith(served)]
    assert len(internal) > 100
    for page, address, fragment in internal:
        address += "index.html" if address.endswith("/") else ""
        assert address in found, f"{page} links to {address}"
        assert not fragment or fragment in found[address]["ids"], f"{page}: {address}#{fragment}"


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("from_disk", [False, True], ids=["served", "from disk"])
def test_sliders_answer(browser, site, served, width, from_disk):
    """Moving a slider to its end changes the checkpoint that it names, and the curve."""
    visit = Visit(browser, width=width)
    moved = 0
    with_sliders = [path for path in paths(site) if "plotly-graph-div" in (site / path).read_text()]
    for path in with_sliders:
        visit.look((site / path).as_uri() if from_disk else f"{served}/{path}")
        for figure in visit.page.query_selector_all(".plotly-graph-div"):
            figure.scroll_into_view_if_needed()
            # On a narrow screen the end of the slider is where its box is scrolled to.
            figure.evaluate("e => { e.closest('[role=group]').scrollLeft = 9999 }")
            label, curve = (
                figure.query_selector(name) for name in (".slider-label", "path.js-line")
            )
            before = label.text_content(), curve.get_attribute("d")
            rail = figure.query_selector(".slider-rail-touch-rect").bounding_box()
            visit.page.mouse.click(rail["x"] + rail["width"] - 6, rail["y"] + rail["height"] / 2)
            visit.page.wait_for_function(
                "([e, text]) => e.querySelector('.slider-label').textContent != text",
                arg=[figure, before[0]],
            )
            visit.page.wait_for_function(
                "([e, d]) => e.querySelector('path.js-line').getAttribute('d') != d",
                arg=[figure, before[1]],
            )
            moved += 1
    visit.close()
    # Quarto's own scripts are modules, which browsers do not load from disk.
    wrong = [text for text in visit.wrong if not (from_disk and "/site_libs/" in text)]
    assert [text for text in wrong if "ERR_FAILED" not in text] == []
    assert moved == 3
