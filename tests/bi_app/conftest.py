from tests.bi_app.fix_app import app, browser, here, library, visitor

__all__ = ["app", "browser", "here", "library", "visitor"]
