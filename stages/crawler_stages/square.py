"""Example stage: all that a stage needs, on one screen.

task: 3 ──[square]──▶ result: "3的平方是9"
"""

from __future__ import annotations

from crawler import Stage


class Square(Stage):
    """Square a number: the smallest useful stage, and the one to copy for your own.

    `number: int` is the schema of the queue it reads: other values never get here. The result of `process` goes to the
    stage's output; it may return None, or yield many. Its test is a function call: `Square().process(3)`.
    """

    def process(self, number: int) -> str:
        return f"{number}的平方是{number * number}"
