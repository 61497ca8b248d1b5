from tests.bi_app.fix_api import api, api_library, at_api, caller, tokens
from tests.bi_app.fix_app import app, browser, here, library, visitor
from tests.bi_app.fix_doors import ann, doors, guest

__all__ = [
    "ann",
    "api",
    "api_library",
    "app",
    "at_api",
    "browser",
    "caller",
    "doors",
    "guest",
    "here",
    "library",
    "tokens",
    "visitor",
]
