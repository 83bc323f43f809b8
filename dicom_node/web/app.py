"""The HTTP application and the server that runs it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from dicom_node import __version__
from dicom_node.errors import NodeError
from dicom_node.web.metrics import NodeCollector
from dicom_node.web.page import render
from dicom_node.web.status import Check, Status, StatusView, read_status

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer: nothing is loaded from elsewhere, nothing is kept."""

log = structlog.get_logger()


def make_app(view: StatusView, checks: Callable[[], Iterable[Check]] = tuple) -> FastAPI:
    """The application.

    Args:
        view: read-only queries, such as the ledger's views.
        checks: asked at each request for how the node's parts are.
    """
    # FastAPI's own documentation pages load scripts from elsewhere.
    app = FastAPI(title="dicom-node", version=__version__, docs_url=None, redoc_url=None)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(view, checks))

    _secure(app)
    _add_pages(app, view, checks)
    _add_probes(app, view, checks)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app


def _secure(app: FastAPI) -> None:
    """Headers on every answer, and a plain one where the ledger is away."""

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(NodeError)
    async def unavailable(_request: Request, error: NodeError) -> Response:
        log.warning("status_unavailable", error=str(error))
        return JSONResponse({"error": "the ledger does not answer; it is tried again"}, status_code=503)


def _add_pages(app: FastAPI, view: StatusView, checks: Callable[[], Iterable[Check]]) -> None:
    """The status, for people and as JSON."""

    def status() -> Status:
        return read_status(view, checks, datetime.now(UTC))

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        return render(status())

    @app.get("/status")
    def status_json() -> Status:
        """All that the status page shows."""
        return status()


def _add_probes(app: FastAPI, view: StatusView, checks: Callable[[], Iterable[Check]]) -> None:
    """What a supervisor or a load balancer asks."""

    @app.get("/health")
    def health() -> dict[str, str]:
        """This process lives."""
        return {"status": "ok", "version": __version__}

    @app.get("/ready")
    def ready(response: Response) -> dict[str, Any]:
        """Every part of the node does its work; 503 where one does not."""
        view.counts()
        failing = [check for check in checks() if not check.ok]
        response.status_code = 503 if failing else 200
        return {"ready": not failing, "failing": failing}


def serve(app: FastAPI, address: str, port: int, stop: threading.Event) -> None:
    """Serves until `stop` is set; in a thread of its own. Raises OSError where the address is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web")
        thread.start()
        stop.wait()
        server.should_exit = True
        thread.join()
