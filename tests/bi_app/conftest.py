from tests.bi_app.fix_api import api, caller, tokens
from tests.bi_app.fix_app import app, browser, here, library, visitor

__all__ = ["api", "app", "browser", "caller", "here", "library", "tokens", "visitor"]
