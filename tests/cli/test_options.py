from typing import Any

import pytest

from offramp.cli.options import dimensions, preprocess_of, shares_of, sizes_of
from offramp.errors import InputError


def test_no_flags_are_no_preprocessing() -> None:
    assert preprocess_of() is None


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ({"mean": "0.5"}, {"mean": (0.5,)}),
        ({"mean": "0.48, 0.46,0.41", "std": "1,1,1"}, {"mean": (0.48, 0.46, 0.41), "std": (1.0, 1.0, 1.0)}),
        ({"size": "224"}, {"size": (224, 224)}),
        ({"size": "32X48"}, {"size": (32, 48)}),
        ({"channels": 1}, {"channels": 1}),
    ],
)
def test_flags_become_preprocessing(flags: dict[str, Any], found: dict[str, Any]) -> None:
    assert preprocess_of(**flags) == found


@pytest.mark.parametrize("text", ["", "a", "0.5;0.5", "inf", "nan", "1,,2"])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=rf"--mean, got '{text}'"):
        preprocess_of(mean=text)


@pytest.mark.parametrize("text", ["", "x", "3x", "1x2x3", "-1", "0x4", "4.5", "4,4"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"such as 224x224 for --size"):
        dimensions("--size", text, 1, 2)


@pytest.mark.parametrize(("text", "sizes"), [("1,32", [1, 32]), (" 8 ", [8]), ("", []), ("4,4", [4]), ("2,", [2])])
def test_batch_sizes(text: str, sizes: list[int]) -> None:
    assert sizes_of("--batch-sizes", text) == sizes


@pytest.mark.parametrize("text", ["a", "1.5", "0", "-1", "1 2"])
def test_other_batch_sizes_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--batch-sizes"):
        sizes_of("--batch-sizes", text)


@pytest.mark.parametrize(
    ("text", "shares"),
    [("1", {1: 1.0}), ("32,1", {32: 1.0, 1: 1.0}), (" 1:0.2, 32 :0.8", {1: 0.2, 32: 0.8}), ("8:", {8: 1.0})],
)
def test_batch_sizes_with_shares(text: str, shares: dict[int, float]) -> None:
    assert list(shares_of("--batch-sizes", text).items()) == list(shares.items())


@pytest.mark.parametrize(
    "text", ["", "1,", "a", "1.5", "0", "-1", "1:0", "1:-1", "1:nan", "1:inf", "1:a", "1:1:1", "1:0.2,1:0.8"]
)
def test_other_shares_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--batch-sizes"):
        shares_of("--batch-sizes", text)
