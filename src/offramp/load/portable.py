"""The tokenizer of a bundle where transformers is not installed."""

from offramp.load.preprocess import Preprocess, preprocess_from_manifest
from offramp.load.tokens import TokenPreprocess
from offramp.manifest import Manifest
from offramp.tokeniser import NAMES, Tokeniser


def tokeniser_of(manifest: Manifest, given: Preprocess | None = None) -> Tokeniser | None:
    """What makes tokens of texts for the model of a bundle; None where it takes no texts, or more than tokens.

    Args:
        manifest: of the bundle.
        given: the preprocessing that the model brings, whose tokenizer stands in for one that is gone.

    Raises:
        InputError: if the tokenizer cannot be loaded, or runs in Python alone.
    """
    recorded = manifest.preprocess
    if recorded is None or recorded.get("kind") != "tokens" or not {one.name for one in manifest.inputs} <= {*NAMES}:
        return None
    found = preprocess_from_manifest(recorded, given)
    assert isinstance(found, TokenPreprocess)
    return found.portable()
