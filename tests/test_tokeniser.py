"""Tokens without transformers are those of transformers."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers

from offramp.errors import BundleError, DataError, InputError
from offramp.load.tokens import TokenPreprocess
from offramp.tokeniser import FILE, Tokeniser
from tests.films import HARD, pieces, preprocess, saved, texts

KINDS: dict[str, dict[str, Any]] = {
    "words": {},
    "pieces": {},
    "left": {"padding_side": "left", "truncation_side": "left"},
    "unmasked": {"model_input_names": ["input_ids"]},
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    return {
        kind: saved(root / kind) if kind == "words" else pieces(root / kind, **wishes) for kind, wishes in KINDS.items()
    }


def check(given: TokenPreprocess, some: list[str], found: Tokeniser) -> None:
    expected, made = given.batch(some), found(some)
    assert set(expected) <= set(made.arrays)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(made.arrays[name], tensor.numpy(), strict=True)


@pytest.mark.parametrize("max_length", [8, 13, 32, 128])
@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_masks_are_those_of_transformers(sources: dict[str, Path], kind: str, max_length: int) -> None:
    given = TokenPreprocess(str(sources[kind]), max_length)
    found = given.portable()
    for text in HARD:
        check(given, [text], found)
    check(given, list(HARD), found)
    check(given, texts(20), found)


def test_those_that_are_cut_are_told(sources: dict[str, Path]) -> None:
    given = TokenPreprocess(str(sources["words"]), 8)
    lengths = (5, 6, 7, 2000)  # two special tokens come on top
    some = [" ".join(["film"] * length) for length in lengths]
    assert given.portable()(some).cut == (2, 3)
    assert given.cut(some * 200) == 400
    assert given.cut([]) == 0


def test_half_a_character_is_refused() -> None:
    with pytest.raises(DataError, match="text 1, got half of a surrogate pair"):
        preprocess().portable()(["good", "\ud800 bad"])


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = preprocess().portable()
    made.write(tmp_path)
    found = Tokeniser.read(tmp_path, made.max_length)
    assert found == made
    assert found != replace(made, max_length=9)
    check(preprocess(), list(HARD), found)


@pytest.mark.parametrize("content", [None, "{", "{}", b"\xff"])
def test_a_damaged_one_is_refused(tmp_path: Path, content: str | bytes | None) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BundleError, match="export the bundle again"):
        Tokeniser.read(tmp_path, 8)


def test_one_that_cuts_elsewhere_is_refused(tmp_path: Path) -> None:
    made = preprocess().portable()
    made.write(tmp_path)
    with pytest.raises(BundleError, match="cuts texts at 8 tokens"):
        Tokeniser.read(tmp_path, 8)
    plain = json.loads(made.definition) | {"padding": None}
    (tmp_path / FILE).write_text(json.dumps(plain))
    with pytest.raises(BundleError, match="that pads"):
        Tokeniser.read(tmp_path, made.max_length)


def test_threads_share_one() -> None:
    found, some = preprocess().portable(), texts(200)
    expected = {text: preprocess().batch([text])["input_ids"].numpy().tolist() for text in some}
    wrong: list[str] = []

    def work() -> None:
        wrong.extend(text for text in some if found([text]).arrays["input_ids"].tolist() != expected[text])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    made = preprocess().portable()
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r"pip install 'offramp\[text\]'"):
        made.ready()


ALONE = """
import json, sys

ALLOWED = {"numpy", "offramp", "tokenizers", *sys.stdlib_module_names}


class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Nothing())
from pathlib import Path
from offramp.tokeniser import Tokeniser

found = Tokeniser.read(Path(sys.argv[1]), int(sys.argv[2]))(json.loads(sys.argv[3]))
print(json.dumps({name: array.tolist() for name, array in found.arrays.items()}))
"""


def test_neither_torch_nor_transformers_is_needed(tmp_path: Path) -> None:
    preprocess().portable().write(tmp_path)
    some = list(HARD[2:8])
    command = [sys.executable, "-c", ALONE, str(tmp_path), str(preprocess().max_length), json.dumps(some)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {name: one.tolist() for name, one in preprocess().batch(some).items()}


def test_pieces_of_bytes_know_all(sources: dict[str, Path]) -> None:
    """The tokenizers of the tests are of two kinds indeed: one has a token for what it does not know."""
    known = tokenizers.Tokenizer.from_file(str(sources["pieces"] / FILE))
    assert known.decode(known.encode(HARD[5]).ids) == HARD[5]
    words = TokenPreprocess(str(sources["words"]), 32).batch([HARD[5]])["input_ids"]
    assert 1 in words.tolist()[0]
