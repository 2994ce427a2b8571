"""`spaces demo`."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer


def demo(
    listeners: Annotated[int, typer.Option(min=0, max=20_000, help="Native listeners.")] = 100,
    speakers: Annotated[int, typer.Option(min=1, max=12, help="People who speak.")] = 3,
    seconds: Annotated[float, typer.Option(min=0, help="How long; 0 is until Ctrl-C.")] = 0,
    tui: Annotated[bool, typer.Option("--tui/--no-tui", help="The live dashboard.")] = True,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the figures here.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Of the page (TCP) and the media (UDP).")] = None,
    recordings: Annotated[Path, typer.Option(metavar="DIR", help="Recordings go below it.")] = Path("recordings"),
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The picture at the end (.png or .svg); beside the recordings.")
    ] = None,
    speech: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Your own sound files instead of the fetched voices.")
    ] = None,
    together: Annotated[bool, typer.Option("--together", help="Everybody talks at once: more load.")] = False,
) -> None:
    """A live Space on this machine: real voices speak, hundreds listen (you too, by the link), a recording remains."""
    from rich.console import Console

    from spaces_ctl.demo import run as demo_run
    from spaces_ctl.demo.speech import SpeechError

    console = Console(soft_wrap=True)
    options = demo_run.Options(listeners, speakers, seconds, tui, json, port, recordings, plot, speech, together)
    try:
        result = asyncio.run(demo_run.run(options, console))
    except (demo_run.ChildFailed, SpeechError, OSError) as error:
        print(f"spaces demo: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    except (asyncio.CancelledError, KeyboardInterrupt):
        print("spaces demo: interrupted", file=sys.stderr)
        raise typer.Exit(130) from None
    for label, value in result.summary():
        # Paths stay whole: no table that would cut them.
        console.print(f"{label:20}{value}", markup=False, highlight=False)
