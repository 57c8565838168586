"""`offramp cite`: what to cite for a recipe."""

from typing import Annotated

import typer

from offramp.citations import cited
from offramp.recipes import NAMES, recipe


def cite(
    name: Annotated[str, typer.Argument(metavar="RECIPE", help=f"Of {', '.join(NAMES)}.")] = "offramp",
) -> None:
    """Print the BibTeX of what a recipe stands on: its paper, calibration and certificates.

    Examples:
      offramp cite selfxit
      offramp cite > references.bib
    """
    typer.echo("\n\n".join(work.bibtex() for work in cited(recipe(name))))
