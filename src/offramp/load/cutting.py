"""How many of a source's texts are longer than the model is given."""

from offramp.load.datasets import DatasetSource
from offramp.load.tables import TextTable
from offramp.load.tokens import TokenPreprocess
from offramp.sources import Source


def cut_in(source: Source) -> int:
    """How many texts of a source lose their end since they have too many tokens; 0 where it has no texts."""
    if not isinstance(source, TextTable | DatasetSource) or not isinstance(source.preprocess, TokenPreprocess):
        return 0
    return source.preprocess.cut(source.texts)
