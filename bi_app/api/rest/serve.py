"""The one place that says how the API is served.

python -m bi_app.api.rest.serve PORT
"""

from __future__ import annotations

import signal
import sys

import uvicorn

from warehouse import log
from warehouse.settings import settings

LOOPBACK = "127.0.0.1"


def command(port: int) -> list[str]:
    """The command that serves the API on this machine; run it in the folder ROOT."""
    return [sys.executable, "-m", "bi_app.api.rest.serve", str(port)]


def serve(port: int) -> None:
    """Serve until SIGTERM; what is under way is finished first.

    Who asks through a proxy is told by `problems.address`: declared proxies alone are believed.
    """
    from bi_app.api.rest.app import make

    log.start()
    # uvicorn finishes first and then raises the signal anew: an end like others, so that what the
    # audit log holds back is written.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        make(),
        host=LOOPBACK,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=12,
        limit_concurrency=500,
        h11_max_incomplete_event_size=16 * 1024,
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else settings().api_port)
