"""All commands together, and how they end."""

import sys
import traceback

import typer

from spaces_ctl.cli import account, bench, config, database, demo, key, moderation, openapi, recording, space, token
from spaces_ctl.cli import login as logins
from spaces_ctl.cli import serve as serving
from spaces_ctl.cli.exits import Exit, Failure, tell

_EPILOG = """
Exit codes: 0 done; 1 refused (the code is printed); 2 wrong arguments or settings; 3 server or database do not answer,
or a port is taken; 4 the database needs `spaces db migrate`; 5 anything else; 6 a recording is damaged;
130 interrupted.

Variables: SPACES_URL, SPACES_TOKEN, SPACES_CONFIG; every setting as SPACES_SECTION__KEY.
"""

app = typer.Typer(
    no_args_is_help=True, help="Self-hosted live audio rooms.", epilog=_EPILOG, pretty_exceptions_enable=False
)
app.command()(serving.serve)
app.command()(demo.demo)
app.command()(openapi.openapi)
app.command()(logins.login)
app.command()(logins.logout)
app.add_typer(space.app, name="space")
app.add_typer(account.app, name="account")
app.add_typer(token.app, name="token")
app.add_typer(key.app, name="key")
app.add_typer(moderation.app, name="moderation")
app.add_typer(database.app, name="db")
app.add_typer(config.app, name="config")
app.add_typer(recording.app, name="recording")
app.add_typer(bench.app, name="bench")


@app.callback()
def _spaces() -> None:
    """Self-hosted live audio rooms."""


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except Failure as failure:
        sys.exit(tell(failure))
    except KeyboardInterrupt:
        sys.exit(tell(Failure("interrupted", Exit.INTERRUPTED)))
    except Exception as error:
        # A fault of ours: whoever mends it needs to see where.
        traceback.print_exception(error)
        sys.exit(tell(Failure(f"{type(error).__name__}: {error}", Exit.FAILED)))
