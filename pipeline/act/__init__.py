"""Carrying out what a person decided, and taking it back: plan -> apply -> undo."""
