"""`python -m spaces_ctl.cli` is `spaces`."""

from spaces_ctl.cli.program import main

main()
