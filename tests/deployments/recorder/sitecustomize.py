"""Put on PYTHONPATH by a test: notes every name that a process looks up and where it connects.

An audit hook sees the calls of C and Python code alike. One line a call:
`<event> <host> <program>`, appended to the file that RECORDED_NAMES names.
"""

import os
import sys

EVENTS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.connect")


def _note(event, arguments):
    if event not in EVENTS:
        return
    target = arguments[1] if event == "socket.connect" else arguments[0]
    if isinstance(target, tuple):
        target = target[0]
    program = " ".join(sys.orig_argv[1:4])
    line = f"{event}\t{target!s}\t{program}\n".encode()
    descriptor = os.open(os.environ["RECORDED_NAMES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line)
    os.close(descriptor)


if os.environ.get("RECORDED_NAMES"):
    sys.addaudithook(_note)
