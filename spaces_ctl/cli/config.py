"""`spaces config`: check the settings, show those in force, print an example."""

import typer

from spaces_ctl.cli.configuration import Config, read
from spaces_ctl.cli.exits import Exit
from spaces_ctl.cli.output import Json, lines, print_json, table

app = typer.Typer(no_args_is_help=True, help="The settings: one TOML file, the environment over it.")


@app.command()
def check(config: Config = None, json: Json = False) -> None:
    """Prints every problem by its path; exit code 2 if there is any."""
    loaded = read(config)
    if json:
        print_json({"file": loaded.file, "ok": not loaded.problems, "problems": loaded.problems})
    else:
        lines(*map(str, loaded.problems))
        if not loaded.problems:
            lines(f"{loaded.file or 'defaults and environment'}: all right")
    if loaded.problems:
        raise typer.Exit(Exit.USAGE)


@app.command()
def show(config: Config = None, json: Json = False) -> None:
    """Prints the values in force and where each comes from; secrets are masked."""
    from spaces_ctl.settings.show import shown

    loaded = read(config)
    values = list(shown(loaded))
    if json:
        print_json({"file": loaded.file, "values": [value._asdict() for value in values]})
    else:
        table(("setting", "value", "from"), values)
    if loaded.problems:
        typer.echo(f"spaces: {len(loaded.problems)} problems: spaces config check", err=True)
        raise typer.Exit(Exit.USAGE)


@app.command()
def example() -> None:
    """Prints a file with every setting at its default, each explained."""
    from spaces_ctl.settings.show import example as text

    lines(text().rstrip("\n"))
