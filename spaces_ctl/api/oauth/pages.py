"""The few pages that the server makes itself: signing in, allowing an app, links from e-mails. No script runs in them.

Everything that is put into them is escaped; forms go to this server only, and after consent to the app's redirect URI.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import urlsplit

from litestar import Response
from litestar.datastructures import Cookie

__all__ = ["STYLE", "consent", "message", "sign_in"]

STYLE = """\
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; display: grid; min-height: 100vh; place-items: center; background: Canvas; color: CanvasText; }
main { box-sizing: border-box; width: min(26rem, 100vw); padding: 2rem; }
h1 { font-size: 1.4rem; margin: 0 0 1rem; overflow-wrap: anywhere; }
label { display: block; margin: 1rem 0 .25rem; }
input { box-sizing: border-box; width: 100%; padding: .6rem; font: inherit; border: 1px solid GrayText;
  border-radius: .4rem; }
button, a.button { display: block; box-sizing: border-box; width: 100%; margin-top: 1rem; padding: .7rem; font: inherit;
  font-weight: 600; text-align: center; text-decoration: none; border: 1px solid #4a2fbd; border-radius: 2rem;
  background: #4a2fbd; color: #fff; cursor: pointer; }
button.plain, a.button { background: transparent; color: inherit; border-color: GrayText; }
:focus-visible { outline: 3px solid #8f78ff; outline-offset: 2px; }
.error { border-left: 4px solid #c62828; padding-left: .75rem; }
ul { padding-left: 1.2rem; }
"""


def sign_in(
    *, app: str | None, return_to: str, local: bool, providers: Mapping[str, str], error: str = "", name: str = ""
) -> Response[str]:
    """Asks for name and password, or leads to another provider."""
    parts = [f"<h1>{escape(f'Sign in to continue to {app}' if app else 'Sign in')}</h1>"]
    if error:
        parts.append(f'<p class="error" role="alert">{escape(error)}</p>')
    if local:
        parts.append(
            '<form method="post" action="/i/login">'
            f"{_hidden({'return_to': return_to})}"
            '<label for="name">Name or e-mail address</label>'
            f'<input id="name" name="name" value="{escape(name)}" autocomplete="username" autocapitalize="none"'
            " required>"
            '<label for="password">Password</label>'
            '<input id="password" name="password" type="password" autocomplete="current-password" required>'
            "<button>Sign in</button></form>"
        )
    parts.extend(
        f'<a class="button" href="{escape(link)}">{escape(f"Continue with {label}")}</a>'
        for label, link in providers.items()
    )
    return _page("Sign in", parts, status=401 if error else 200)


def consent(
    *, app: str, handle: str, scopes: Mapping[str, str], fields: Mapping[str, str], redirect_uri: str
) -> Response[str]:
    """Asks whether an app may; `fields` are the request, to be sent again with the answer."""
    asked = "".join(f"<li>{escape(words)}</li>" for words in scopes.values())
    host = urlsplit(redirect_uri).hostname or redirect_uri.split(":")[0]
    parts = [
        f"<h1>{escape(app)} wants to access your account</h1>",
        f"<p>You are signed in as <strong>@{escape(handle)}</strong>. {escape(app)} will be able to:</p>",
        f"<ul>{asked}</ul>",
        f"<p>You will be sent to <strong>{escape(host)}</strong>. You can take this back at any time.</p>",
        f'<form method="post" action="/i/oauth2/authorize">{_hidden(fields)}'
        '<button name="answer" value="allow">Allow</button>'
        '<button class="plain" name="answer" value="deny">Cancel</button></form>',
    ]
    return _page(f"Allow {app}?", parts, form_target=_target(redirect_uri))


def message(*, title: str, text: str, status: int = 200) -> Response[str]:
    """Says something, when there is nothing to do."""
    return _page(title, [f"<h1>{escape(title)}</h1>", f"<p>{escape(text)}</p>"], status=status)


def _page(
    title: str, parts: list[str], *, status: int = 200, form_target: str = "", cookies: list[Cookie] | None = None
) -> Response[str]:
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/i/style.css"></head>'
        f"<body><main>{''.join(parts)}</main></body></html>"
    )
    # Browsers apply form-action to the redirect after a form, too: without its target the consent would go nowhere.
    policy = (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {form_target}".rstrip()
    )
    headers = {
        "content-security-policy": policy,
        "x-frame-options": "DENY",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    return Response(html, status_code=status, media_type="text/html", headers=headers, cookies=cookies)


def _hidden(fields: Mapping[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )


def _target(redirect_uri: str) -> str:
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"
