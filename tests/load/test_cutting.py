from pathlib import Path

import pytest
import torch

from offramp.errors import InputError
from offramp.load.cutting import cut_in
from offramp.load.models import LoadedModel, load_model
from offramp.load.sources import open_source
from offramp.load.tokens import TokenPreprocess
from tests.films import LENGTH, POSITIONS, home, loaded, preprocess, texts

LONG = ["film " * 31, "film " * 30, "good", "bad " * 1000]
"""Of 33, 32, 3 and 1,002 tokens, the special ones included."""


def test_texts_of_tables_and_lists_are_counted(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("\n".join(["text", *LONG]))
    for data in (tmp_path / "x.csv", LONG, [(text, 0) for text in LONG]):
        assert cut_in(open_source(data, preprocess())) == 2
    assert cut_in(open_source(texts(50), preprocess())) == 0


def test_what_are_no_texts_is_not_counted() -> None:
    assert cut_in(open_source(torch.zeros(4, 3))) == 0
    tokens = preprocess().batch(LONG)
    assert cut_in(open_source(tokens, preprocess())) == 0
    assert cut_in(open_source([{name: one[0] for name, one in tokens.items()}], preprocess())) == 0


def test_the_length_can_be_given() -> None:
    found = load_model(f"transformers:{home()}", preprocess={"max_length": 16}).preprocess
    assert found == TokenPreprocess(str(home()), 16)
    assert load_model(f"transformers:{home()}").preprocess == TokenPreprocess(str(home()), POSITIONS - 2)
    with pytest.raises(InputError, match="at least 1"):
        load_model(f"transformers:{home()}", preprocess={"max_length": 0})
    with pytest.raises(InputError, match="'max_length'"):
        load_model(f"transformers:{home()}", preprocess={"max_length": 8, "size": 4})


def test_a_length_is_for_texts_alone(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("import torch\n\ndef net():\n    return torch.nn.Linear(2, 2)\n")
    with pytest.raises(InputError, match="a model that takes texts, got one without a tokenizer"):
        load_model(f"{tmp_path / 'nets.py'}:net", preprocess={"max_length": 8})


def test_texts_longer_than_the_positions_are_refused_at_once() -> None:
    said = rf"max_length of at most {POSITIONS}.*got {POSITIONS + 1}; give --max-length {POSITIONS}"
    with pytest.raises(InputError, match=said):
        load_model(f"transformers:{home()}", preprocess={"max_length": POSITIONS + 1})
    with pytest.raises(InputError, match=said):
        LoadedModel(loaded().model, None, TokenPreprocess(str(home()), POSITIONS + 1))
    assert load_model(f"transformers:{home()}", preprocess={"max_length": POSITIONS}).preprocess is not None
    assert LENGTH < POSITIONS
