"""What `panel serve --auth-module` reads. Bokeh loads this file by its path."""

from bi_app.auth.forms import SignIn as LoginHandler
from bi_app.auth.forms import SignOut as LogoutHandler
from bi_app.auth.gate import get_user_async

__all__ = ["LoginHandler", "LogoutHandler", "get_user_async", "login_url", "logout_url"]

login_url = "/sign-in"
logout_url = "/sign-out"
