"""How every command reads its arguments."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption


class Command(TyperCommand):
    """A command that refuses an option given twice where only the last would count: half a filter is a wrong answer."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # click's context, or the one that typer brings along
        """As click's.

        Raises:
            typer.BadParameter: an option of one value has several.
        """
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(given).items():
            if times > 1 and isinstance(option, TyperOption) and not (option.multiple or option.is_flag):
                raise typer.BadParameter(f"given {times} times, and only one can count", ctx, option)
        return list(super().parse_args(ctx, args))
