"""The rules of Spaces, pure: no clock, no input or output, no randomness.

`needs` names the facts that a command's rules ask for, `decide` answers a command with events or one refusal, `evolve`
folds an event into the state, `timers` says what is due later. The tables in `rules` are data; the permission matrix in
the documentation is printed from them.
"""
