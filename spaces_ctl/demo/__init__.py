"""`spaces demo`: a live Space on this machine, with real speech, listeners by the hundred, a recording and a link.

Read in this order: `speech` (whose voices), `script` (who says what when), `run` (which processes, in which order),
`server`, `speaker`, `listeners` (what each of them does), `measure` and `report` (what is counted, and how shown).
"""
