from tests.bi_app.fix_api import api, api_library, at_api, caller, tokens
from tests.bi_app.fix_app import app, browser, here, library, visitor

__all__ = [
    "api",
    "api_library",
    "app",
    "at_api",
    "browser",
    "caller",
    "here",
    "library",
    "tokens",
    "visitor",
]
