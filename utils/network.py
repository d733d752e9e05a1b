"""Ask the network a question and never wait long for the answer.

A class room without a network must not stop a notebook for minutes. Library time-outs are not enough:
looking up a host name has none of its own, and several libraries try again and again. So a question runs in
a thread that is left behind when the patience ends. For downloads themselves, which may rightly take
minutes, this is not the tool.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")

PATIENCE = 8.0  # seconds: longer than a slow answer, shorter than a learner's


def bounded(question: Callable[[], Answer], seconds: float = PATIENCE) -> Answer:
    """Return `question()`, or raise `TimeoutError` after `seconds`.

    The thread is a daemon: a question that never returns does not keep Python from ending.

    Raises:
        TimeoutError: no answer in time. Whatever `question` raises is raised here unchanged.

    >>> bounded(lambda: 6 * 7, seconds=1)
    42
    """
    answers: list[Answer] = []
    problems: list[BaseException] = []

    def ask() -> None:
        try:
            answers.append(question())
        except BaseException as problem:  # handed to the caller below, whatever it is
            problems.append(problem)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if problems:
        raise problems[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    return answers[0]
