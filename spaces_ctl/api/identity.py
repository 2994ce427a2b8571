"""All routers of identity and the X API, and what they ask the application for: `create_app` is given both."""

from __future__ import annotations

from typing import Any

from spaces_ctl.api.auth import embedding, logins, profiles, providers
from spaces_ctl.api.auth.logins import AuthRules
from spaces_ctl.api.oauth import apps, authorize, tokens
from spaces_ctl.api.xapi import handlers
from spaces_ctl.api.xapi.rates import XRates
from spaces_ctl.service.authentication import Authentication
from spaces_ctl.service.email_links import EmailLinks
from spaces_ctl.service.graph import WritableGraph
from spaces_ctl.service.graph_http import Invalidations
from spaces_ctl.service.oauth import OAuth
from spaces_ctl.service.oidc import Oidc
from spaces_ctl.service.passwords import Passwords
from spaces_ctl.service.service_keys import ServiceKeys
from spaces_ctl.service.sessions import Sessions
from spaces_ctl.service.xapi import XApi

__all__ = ["ROOT_ROUTERS", "ROUTERS", "XAPI_ROUTERS", "identity_services"]

ROUTERS = (logins.router, providers.router, profiles.router, embedding.router, apps.router)
"""Below `/api/v1`."""

ROOT_ROUTERS = (authorize.router, tokens.router)
"""As they are: pages, OAuth."""

XAPI_ROUTERS = (handlers.router,)
"""X's paths, as they are."""


def identity_services(
    *,
    authentication: Authentication,
    sessions: Sessions,
    passwords: Passwords,
    graph: WritableGraph,
    oauth: OAuth,
    oidc: Oidc,
    service_keys: ServiceKeys,
    xapi: XApi,
    x_rates: XRates,
    auth_rules: AuthRules | None = None,
    email_links: EmailLinks | None = None,
    invalidations: Invalidations | None = None,
) -> dict[str, Any]:
    """For `ApiServices.more`. Without `email_links` no e-mail is sent; `invalidations` are for a graph over HTTP."""
    return {**locals(), "auth_rules": auth_rules or AuthRules()}
