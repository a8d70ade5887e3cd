"""`python -m twinpix.pipeline COMMAND`."""

from twinpix.pipeline.cli import app

app()
