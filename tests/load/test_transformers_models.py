import shutil
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
import transformers
from torch.testing import assert_close

from offramp.errors import DataError, InputError
from offramp.inputs import call
from offramp.load.image_preprocess import ImagePreprocess
from offramp.load.models import load_model
from offramp.load.preprocess import preprocess_from_manifest
from offramp.load.processors import image_preprocess_of
from offramp.load.small import renormalisation
from offramp.load.tokens import TokenPreprocess
from tests.films import pieces

from .conftest import picture

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a"]
SMALL: dict[str, Any] = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
}


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    folder = tmp_path / "bert"
    config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, num_labels=3, **SMALL)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    folder = tmp_path / "vit"
    config = transformers.ViTConfig(image_size=16, patch_size=8, num_labels=4, **SMALL)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def test_loads_a_text_classifier(bert: Path) -> None:
    loaded = load_model(f"transformers:{bert}")
    assert loaded.preprocess == TokenPreprocess(str(bert), 30)
    tokens = loaded.preprocess.batch(["a good film", "bad"])
    assert isinstance(tokens, dict)
    assert {"input_ids", "attention_mask"} <= set(tokens)
    assert tokens["input_ids"].shape == (2, 5)
    assert tokens["attention_mask"].sum(1).tolist() == [5, 3]
    assert call(loaded.model, tokens).logits.shape == (2, 3)
    assert not loaded.model.training


def test_texts_are_padded_to_the_longest_where_a_mask_says_so(bert: Path) -> None:
    tokens = TokenPreprocess(str(bert), 16)
    assert tokens.batch(["a film"])["input_ids"].shape == (1, 8)  # the next multiple of eight
    assert tokens.batch(["a film " * 4, "bad"])["input_ids"].shape == (2, 16)
    assert tokens.batch(["a film " * 40])["input_ids"].shape == (1, 16)
    assert TokenPreprocess(str(bert), 30).batch(["a film " * 40])["input_ids"].shape == (1, 30)
    tokens.tokenizer.model_input_names = ["input_ids"]
    found = tokens.batch(["a film"])
    assert set(found) == {"input_ids"}
    assert found["input_ids"].shape == (1, 16)


def test_a_text_of_nothing_is_padding(bert: Path) -> None:
    tokens = TokenPreprocess(str(bert), 8)
    tokens.tokenizer.backend_tokenizer.post_processor = None
    found = tokens.batch([""])
    assert found["input_ids"].shape == (1, 8)
    assert found["attention_mask"].sum() == 0


def test_a_tokenizer_that_cannot_pad_is_refused(tmp_path: Path) -> None:
    tokens = TokenPreprocess(str(pieces(tmp_path / "pieces")), 8).tokenizer
    tokens.pad_token = None
    tokens.save_pretrained(tmp_path / "bare")
    with pytest.raises(InputError, match="set its pad_token"):
        TokenPreprocess(str(tmp_path / "bare"), 8).batch(["a film"])


def test_the_tokenizer_survives_a_manifest(bert: Path) -> None:
    tokens = TokenPreprocess(str(bert), 6)
    again = preprocess_from_manifest(tokens.to_manifest())
    assert_close(again.batch(["a film " * 9]), tokens.batch(["a film " * 9]))


def test_a_small_model_has_the_tokens_of_its_backbone(bert: Path, tmp_path: Path) -> None:
    shutil.copytree(bert, tmp_path / "same")
    given = TokenPreprocess(str(bert), 30)
    assert renormalisation(TokenPreprocess(str(tmp_path / "same"), 16), given) is None
    (tmp_path / "vocab.txt").write_text("\n".join([*WORDS, "the"]))
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "other")
    with pytest.raises(InputError, match=r"with the backbone's tokens \(.*bert\), got one with those of .*other"):
        renormalisation(TokenPreprocess(str(tmp_path / "other"), 30), given)


def test_loads_an_image_classifier(vit: Path) -> None:
    loaded = load_model(f"transformers:{vit}")
    assert loaded.preprocess == ImagePreprocess(size=(16, 16), mean=(0.5,) * 3, std=(0.5,) * 3)
    assert loaded.model(loaded.preprocess.batch([picture(0)])).logits.shape == (1, 4)


def test_other_weights_may_be_given(bert: Path, tmp_path: Path) -> None:
    source = load_model(f"transformers:{bert}").model
    torch.save(source.state_dict(), tmp_path / "w.pt")
    (bert / "model.safetensors").unlink()
    assert_close(load_model(f"transformers:{bert}", tmp_path / "w.pt").model.state_dict(), source.state_dict())


def test_a_folder_without_preprocessing_brings_none(vit: Path, bert: Path) -> None:
    (vit / "preprocessor_config.json").unlink()
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (bert / name).unlink(missing_ok=True)
    assert load_model(f"transformers:{vit}").preprocess is None
    assert load_model(f"transformers:{bert}").preprocess is None


def test_a_body_without_classifier_is_refused(tmp_path: Path) -> None:
    config = transformers.BertConfig(vocab_size=9, **SMALL)
    transformers.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"ForSequenceClassification or ForImageClassification, got \['BertModel'\]"):
        load_model(f"transformers:{tmp_path}")


def test_an_untrained_classifier_is_refused(bert: Path) -> None:
    model = transformers.BertModel.from_pretrained(bert)
    model.save_pretrained(bert)
    config = transformers.AutoConfig.from_pretrained(bert)
    config.architectures = ["BertForSequenceClassification"]
    config.save_pretrained(bert)
    with pytest.raises(InputError, match=r"trained weights for all of .* missing, such as classifier.bias"):
        load_model(f"transformers:{bert}")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder saved by save_pretrained, could not load"):
        load_model(f"transformers:{tmp_path}")


def test_a_hub_name_offline_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"hub name, reachable or in the cache, could not load 'no/such-model'"):
        load_model("transformers:no/such-model")


def test_a_missing_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a tokenizer at .*, could not load it"):
        TokenPreprocess(str(tmp_path)).batch(["a"])


def test_pictures_are_no_texts(bert: Path) -> None:
    with pytest.raises(DataError, match=r"expected texts, got Image"):
        load_model(f"transformers:{bert}").preprocess.batch([picture(0)])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ViT", {}),
        ("DeiT", {}),
        ("Bit", {}),
        ("CLIP", {"do_convert_rgb": False}),
        ("MobileNetV2", {}),
        ("ConvNext", {}),
        ("ConvNext", {"size": {"shortest_edge": 224}}),
        ("ViT", {"do_normalize": False}),
        ("ViT", {"do_rescale": False, "image_mean": [127.0] * 3, "image_std": [128.0] * 3}),
    ],
)
def test_image_processors_are_read(name: str, options: dict[str, Any]) -> None:
    processor = getattr(transformers, f"{name}ImageProcessorPil")(**options)
    ours = image_preprocess_of(processor)
    assert ours is not None
    image = picture(3, 310, 299)
    theirs = torch.from_numpy(np.asarray(processor(image, return_tensors="np")["pixel_values"]))
    assert_close(ours.batch([image]), theirs, rtol=0, atol=1e-2 if options.get("do_rescale", True) else 1.0)


def test_image_processors_that_do_more_are_left_out() -> None:
    # This one divides by the standard deviation twice.
    assert image_preprocess_of(transformers.EfficientNetImageProcessorPil(include_top=True)) is None
