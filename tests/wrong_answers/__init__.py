"""Wrong answers that every check must refuse, one module per notebook.

Each module holds `WRONG = {check name: [(code that replaces the stub, fragment of the message it must get), ...]}`,
at least three per exercise, each with a message of its own.
"""
