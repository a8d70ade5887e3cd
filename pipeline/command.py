"""How every command reads its arguments."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption


class Command(TyperCommand):
    """A command that refuses what says nothing: an empty argument, an option given twice where only the last counts.

    `find-duplicates "$PHOTOS"` without such a variable would search the working folder: an empty path is that.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # click's context, or the one that typer brings along
        """As click's.

        Raises:
            typer.BadParameter: an option of one value has several, or an argument is empty.
        """
        if any(re.fullmatch(r"(--[\w-]+=)?", arg) for arg in args):
            raise typer.BadParameter("an argument is empty: is a variable of your shell not set?", ctx)
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(given).items():
            if times > 1 and isinstance(option, TyperOption) and not (option.multiple or option.is_flag):
                raise typer.BadParameter(f"given {times} times, and only one can count", ctx, option)
        return list(super().parse_args(ctx, args))
