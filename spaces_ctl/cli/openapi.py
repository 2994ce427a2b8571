"""`spaces openapi`: the description of the HTTP API."""

import typer


def openapi() -> None:
    """Prints the OpenAPI 3.1 document of the HTTP API, as a server with every part switched on answers it."""
    import json

    from spaces_ctl.serve.composition import api_document

    typer.echo(json.dumps(api_document(), indent=1, ensure_ascii=False))
