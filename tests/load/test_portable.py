import shutil
from pathlib import Path

import pytest
import transformers

from offramp.errors import InputError
from offramp.load.portable import tokeniser_of
from offramp.load.tokens import TokenPreprocess
from offramp.manifest import Manifest
from tests.builds import bundle
from tests.films import HARD, LENGTH, film, home, saved


def moved(source: Path) -> Manifest:
    """The manifest of a build whose tokenizer was there."""
    recorded = {"kind": "tokens", "source": str(source), "max_length": LENGTH}
    return film().manifest.model_copy(update={"preprocess": recorded})


def test_the_tokenizer_of_a_build_is_found() -> None:
    found = tokeniser_of(film().manifest)
    assert found is not None
    assert found.max_length == LENGTH
    expected = TokenPreprocess(str(home()), LENGTH).batch(list(HARD))["input_ids"]
    assert found(HARD).arrays["input_ids"].tolist() == expected.tolist()


def test_the_models_own_stands_in_for_one_that_is_gone(tmp_path: Path) -> None:
    gone, given = moved(tmp_path / "gone"), TokenPreprocess(str(home()), 8)
    with pytest.raises(InputError, match="expected a tokenizer at"):
        tokeniser_of(gone)
    found = tokeniser_of(gone, given)
    assert found is not None
    assert found.max_length == LENGTH, "as in the build"
    assert found == tokeniser_of(film().manifest)


def test_one_that_is_there_needs_no_other(tmp_path: Path) -> None:
    shutil.copytree(home(), tmp_path / "here")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]")
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "other")
    found = tokeniser_of(moved(tmp_path / "here"), TokenPreprocess(str(tmp_path / "other"), 8))
    assert found == tokeniser_of(film().manifest)


def test_models_of_other_inputs_have_none() -> None:
    assert tokeniser_of(bundle().manifest) is None
    entries = (*film().manifest.inputs, film().manifest.inputs[0].model_copy(update={"name": "bbox"}))
    assert tokeniser_of(film().manifest.model_copy(update={"inputs": entries})) is None


def test_a_tokenizer_in_python_alone_is_refused(tmp_path: Path) -> None:
    given = TokenPreprocess(str(saved(tmp_path / "film")), LENGTH)
    given.tokenizer.split_special_tokens = True  # which no file of the package tokenizers can say
    with pytest.raises(InputError, match="send token ids"):
        given.portable()
