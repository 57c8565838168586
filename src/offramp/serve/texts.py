"""Texts in place of token ids: how clients send them, and what is made of them. Free of any framework."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from offramp.errors import DataError
from offramp.serve.aside import aside
from offramp.serve.deployment import Deployment
from offramp.serve.endpoint import Endpoint
from offramp.serve.errors import BadRequestError, TooLargeError
from offramp.serve.protocol import InferRequest
from offramp.serve.tensors import BYTES
from offramp.tokeniser import Tokeniser

TEXT = "text"
"""The input that stands for all others of a model that takes texts."""

MOST_TEXT, MOST_TEXTS = 2**20, 2**23
"""Bytes of a text, and of all in a request: what is cut off is made tokens, too, at some megabytes a second."""

WEIGHT = 16
"""To make tokens of a byte takes as long as to read so many: what `aside` is told."""


async def tokenised(asked: InferRequest, endpoint: Endpoint) -> InferRequest:
    """A request with the tokens of its texts, made by a thread where they are long; one without texts is as it was.

    Raises:
        BadRequestError: if the texts are none, or the model takes none.
        TooLargeError: if they are too long, or too many.
    """
    named = [name for name, tensor in asked.inputs.items() if tensor.dtype == object]
    if not named:
        return asked
    deployment = endpoint.deployment
    ids = ", ".join(spec.name for spec in deployment.inputs)
    if deployment.tokeniser is None:
        raise BadRequestError(
            f"expected numbers for {ids}, got texts in {named[0]!r}; this model is served without a tokenizer"[:300]
        )
    if set(asked.inputs) != {TEXT}:
        got = ", ".join(map(repr, asked.inputs))[:100]
        raise BadRequestError(f"expected {ids}, or texts in one input {TEXT!r} and nothing beside it, got {got}")
    texts = _texts(asked.inputs[TEXT])
    endpoint.engine.batching.check(len(texts))
    size = _size(texts)
    return await aside(WEIGHT * size, _with_tokens, asked, texts, deployment, deployment.tokeniser)


def _with_tokens(asked: InferRequest, texts: list[str], deployment: Deployment, tokeniser: Tokeniser) -> InferRequest:
    try:
        tokens = tokeniser(texts)
    except DataError as error:
        raise BadRequestError(str(error)) from error
    inputs = {spec.name: tokens.arrays[spec.name] for spec in deployment.inputs}
    return replace(asked, inputs=inputs, truncated=frozenset(tokens.cut))


def _texts(tensor: np.ndarray) -> list[str]:
    """The texts of an input [n], or [n, 1] as clients send it that add an axis for batches.

    Raises:
        BadRequestError: if its shape is another, or there are none.
    """
    if tensor.shape[1:] not in ((), (1,)) or not len(tensor):
        raise BadRequestError(f"expected shape [-1] with at least one text for input {TEXT!r}, got {[*tensor.shape]}")
    return list(tensor.ravel())


def _size(texts: list[str]) -> int:
    """Bytes of the texts.

    Raises:
        TooLargeError: if there are too many.
    """
    sizes = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
    if max(sizes) > MOST_TEXT or sum(sizes) > MOST_TEXTS:
        raise TooLargeError(
            f"expected texts of at most {MOST_TEXT} bytes, {MOST_TEXTS} in a request, got {max(sizes)} and "
            f"{sum(sizes)}; the model reads the beginning of a long text, so send no more, or fewer at a time"
        )
    return sum(sizes)


def told_of_all(asked: InferRequest) -> dict[str, int]:
    """What the reply to a request says of its texts: how many were longer than the model reads, and were cut."""
    return {} if asked.truncated is None else {"truncated": len(asked.truncated)}


def told_of_one(asked: InferRequest, number: int) -> dict[str, bool]:
    """What the reply to one sample says of its text: whether it was longer than the model reads, and was cut."""
    return {} if asked.truncated is None else {"truncated": number in asked.truncated}


def metadata(told: Mapping[str, Any], deployment: Deployment) -> dict[str, Any]:
    """A model's metadata with the input of texts behind the others, where it takes any."""
    if deployment.tokeniser is None:
        return dict(told)
    return {**told, "inputs": [*told["inputs"], {"name": TEXT, "datatype": BYTES, "shape": [-1]}]}


def configuration(told: Mapping[str, Any], deployment: Deployment) -> dict[str, Any]:
    """Triton's configuration likewise; there each input can be said to be one that may be left out."""
    if deployment.tokeniser is None:
        return dict(told)
    inputs = [*told["input"], {"name": TEXT, "data_type": "TYPE_STRING", "dims": [1]}]
    return {**told, "input": [{**one, "optional": True} for one in inputs]}
