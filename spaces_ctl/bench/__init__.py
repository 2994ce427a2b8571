"""`spaces bench`: what a server delivers to how many for how much, measured beside others on the same cores.

`rows` and `times` say what a measurement is; `calibration` and `plan` make of them what a million listeners need.
`processes`, `servers`, `load` and `measuring` run one, `comparing` several in turns, `limit` the machine's own ceiling;
`suite` names those that RESULTS.md is made of, `results` and `plots` print it.
"""
