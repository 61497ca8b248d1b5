"""The app's own address, `/app`: the overview.

Serve it with the command that `python -m bi_app.serve` prints:
`panel serve bi_app/app.py bi_app/pages/… --auth-module bi_app/auth/door.py …`
"""

from __future__ import annotations

from bi_app.pages.overview import build
from bi_app.pages.shell import serving

serving(__name__, build)
