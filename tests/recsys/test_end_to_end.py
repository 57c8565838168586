"""A tiny click model the whole way: built, evaluated, run, exported and served, and what it refuses on the way."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import tritonclient.http as triton
from sklearn.metrics import log_loss, roc_auc_score
from tritonclient.utils import InferenceServerException

from offramp import deployed
from offramp.bundle import Bundle
from offramp.load.factories import call_factory
from offramp.serve.endpoint import Wish
from offramp.serve.errors import BadRequestError
from offramp.serve.loading import from_bundle
from offramp.serve.sample import Answer
from tests.cli.test_run import rows as answers_in
from tests.cli.world import QUICK, offramp, process, refused
from tests.serve.world import Ears, served

SIZES, FIRST = (6, 5, 4), np.array([0, 6, 11])
NETS = '''
import torch
from torch import nn

from offramp.load.click_preprocess import ClickPreprocess

SIZES = (6, 5, 4)


class Clicks(nn.Module):
    """Row 0 is of no value, whose id is -1; several values of a field are added up."""

    def __init__(self, most=None, preprocess=True):
        super().__init__()
        if preprocess:
            self.preprocess = ClickPreprocess(SIZES, most=most)
        self.rows = nn.Embedding(16, 6, padding_idx=0)
        self.register_buffer("first", torch.tensor([1, 7, 12]).reshape(3, *[1] * (most is not None)))
        self.top = nn.Sequential(*(nn.Sequential(nn.Linear(one, 24), nn.ReLU()) for one in (18, 24, 24)))
        self.click = nn.Linear(24, 1)
        generator = torch.Generator().manual_seed(1)
        for weight in self.parameters():
            weight.data.normal_(0.0, 0.4, generator=generator)
        self.rows.weight.data[0] = 0.0

    def forward(self, sparse):
        vectors = self.rows((sparse + self.first) * (sparse >= 0))
        return self.click(self.top((vectors.sum(2) if sparse.ndim == 3 else vectors).flatten(1)))


def net():
    return Clicks()


def several():
    return Clicks(most=2)


def bare():
    return Clicks(preprocess=False)
'''


def ids_of(count: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.stack([generator.integers(0, size, count) for size in SIZES], axis=1)


def click(model: torch.nn.Module, ids: np.ndarray) -> np.ndarray:
    """What the model itself says."""
    with torch.no_grad():
        found: np.ndarray = torch.sigmoid(model(torch.from_numpy(ids))).numpy().ravel()
    return found


def lines(ids: np.ndarray) -> list[str]:
    return [" ".join(f"{one}:1" for one in row) for row in ids + FIRST]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nets, a stream without labels, a bundle of it, labelled rows, and stages."""
    folder = tmp_path_factory.mktemp("clicks")
    nets, ids = folder / "nets.py", ids_of(300, 2)
    nets.write_text(NETS)
    (folder / "stream.libfm").write_text("\n".join(lines(ids_of(400, 1))))
    drawn = np.random.default_rng(3).random(300) < click(call_factory(f"{nets}:net").eval(), ids)
    text = "\n".join(f"{2 * int(label) - 1} {row}" for label, row in zip(drawn, lines(ids), strict=True))
    (folder / "test.libfm").write_text(text)
    stream = folder / "stream.libfm"
    built = offramp("build", f"{nets}:net", "--data", stream, "--out", folder / "bundle", *QUICK)
    assert built.code == 0, built
    exported = offramp("export", folder / "bundle", f"{nets}:net", "--out", folder / "stages")
    assert exported.code == 0, exported
    return folder


@pytest.fixture(scope="module")
def model(made: Path) -> torch.nn.Module:
    found: torch.nn.Module = call_factory(f"{made / 'nets.py'}:net").eval()
    return found


def test_the_preprocessing_says_the_task(made: Path) -> None:
    assert json.loads((made / "bundle" / "manifest.json").read_text())["model"]["task"] == "ctr"


def test_without_it_somebody_has_to(made: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=ids_of(400, 1))
    asked = ["build", f"{made / 'nets.py'}:bare", "--data", tmp_path / "rows.npz", "--out", tmp_path / "b", *QUICK]
    refused(*asked, saying="the logit of a yes (task ctr)")
    assert offramp(*asked, "--task", "ctr").code == 0


def test_figures_are_those_of_scikit_learn(made: Path, model: torch.nn.Module) -> None:
    asked = ["evaluate", made / "bundle", f"{made / 'nets.py'}:net", "--data", made / "test.libfm"]
    found = json.loads(offramp(*asked, "--batch-sizes", "", "--json").out)
    said = click(model, ids_of(300, 2))
    labels = np.random.default_rng(3).random(300) < said
    for measures in (found["backbone"]["measures"], found["points"][0]["measures"]):
        assert measures["auc"] == pytest.approx(roc_auc_score(labels, said), abs=1e-3)
        assert measures["log_loss"] == pytest.approx(log_loss(labels, said), abs=1e-5)
    table = offramp(*asked, "--batch-sizes", "").out
    assert f"plain model: auc {found['backbone']['measures']['auc']:.4f}" in table


def test_exits_say_probabilities_of_a_click_and_not_of_their_answer(made: Path, model: torch.nn.Module) -> None:
    """Calibrated to the model's class they would be pushed to 0 and 1."""
    ids = ids_of(300, 2)
    live, expected = Bundle.load(made / "bundle").attach(model).live, click(model, ids)
    least = -(expected * np.log(expected) + (1 - expected) * np.log(1 - expected)).mean()
    with torch.no_grad():
        outputs = live.multi_exit.outputs(torch.from_numpy(ids), live.logits_of).double()
    for calibrator, output in zip(live.calibrators, outputs, strict=False):
        said = calibrator(output).softmax(dim=1)[:, 1].numpy()
        assert -(expected * np.log(said) + (1 - expected) * np.log(1 - said)).mean() < least + 0.1


def test_answers_are_yes_where_the_model_says_more_than_even(
    made: Path, model: torch.nn.Module, tmp_path: Path
) -> None:
    asked = ["run", made / "bundle", f"{made / 'nets.py'}:net", "--data", made / "test.libfm", "--point", "full"]
    assert offramp(*asked, "--out", tmp_path / "a.csv").code == 0
    found = [int(row["prediction"]) for row in answers_in(tmp_path / "a.csv")]
    assert found == (click(model, ids_of(300, 2)) > 0.5).astype(int).tolist()


def test_stages_take_whole_numbers(made: Path, model: torch.nn.Module) -> None:
    outcome = deployed.load(made / "stages", "full", threads=1)(ids_of(9, 4))
    assert outcome.output.shape == (9, 2)
    found = 1 / (1 + np.exp(outcome.output[:, 0] - outcome.output[:, 1]))
    np.testing.assert_allclose(found, click(model, ids_of(9, 4)), atol=1e-5)


@pytest.fixture(scope="module")
def client(made: Path) -> Iterator[triton.InferenceServerClient]:
    """Of a server process with the stages."""
    running = process("serve", made / "stages", "--port", "0", "--threads", "1")
    try:
        assert running.stdout is not None
        url = running.stdout.readline().split()[-1]
        yield triton.InferenceServerClient(url.removeprefix("http://"), network_timeout=60.0)
    finally:
        running.kill()
        running.communicate()


def asked_of(client: triton.InferenceServerClient, ids: np.ndarray, point: str = "full") -> triton.InferResult:
    tensor = triton.InferInput("input0", list(ids.shape), triton.np_to_triton_dtype(ids.dtype))
    tensor.set_data_from_numpy(ids)
    return client.infer("stages", [tensor], parameters={"operating_point": point})


def test_a_server_answers_with_probabilities(client: triton.InferenceServerClient, model: torch.nn.Module) -> None:
    reply = asked_of(client, ids_of(8, 4))
    np.testing.assert_allclose(reply.as_numpy("probability"), click(model, ids_of(8, 4)), atol=1e-5)
    assert reply.as_numpy("label").tolist() == (click(model, ids_of(8, 4)) > 0.5).astype(int).tolist()


@pytest.mark.parametrize(("field", "number"), [(0, 6), (2, 4), (1, -1), (0, 10**12)])
def test_a_server_refuses_ids_beyond_their_field(client: triton.InferenceServerClient, field: int, number: int) -> None:
    """Also where the next field has a row there; the others of the request are told nothing, and the server goes on."""
    ids = ids_of(3, 4)
    ids[1, field] = number
    expected = f"expected ids 0 to {SIZES[field] - 1} in field {field} of input 'input0', got {number} in sample 1"
    for point in ("full", "balanced"):
        with pytest.raises(InferenceServerException, match=expected) as caught:
            asked_of(client, ids, point)
        assert caught.value.status() == "400"
    assert asked_of(client, ids_of(3, 4)).as_numpy("label").shape == (3,)


@pytest.mark.parametrize(
    "ids", [np.zeros((1, 2), np.int64), np.zeros((1, 3, 1), np.int64), np.zeros((1, 3), np.float32)]
)
def test_a_server_refuses_other_tensors(client: triton.InferenceServerClient, ids: np.ndarray) -> None:
    with pytest.raises(InferenceServerException, match=r"expected (shape \[-1, 3\]|numbers like int64)") as caught:
        asked_of(client, ids)
    assert caught.value.status() == "400"


@pytest.mark.parametrize("backend", ["eager", "onnx"])
def test_fields_with_several_values_are_served_padded(made: Path, tmp_path: Path, backend: str) -> None:
    padded = np.stack(
        [ids_of(400, 5), np.where(np.random.default_rng(6).random((400, 3)) < 0.5, -1, ids_of(400, 7))], 2
    )
    both = [
        [one for one in row.ravel().tolist() if one >= 0] for row in np.where(padded < 0, -1, padded + FIRST[:, None])
    ]
    (tmp_path / "stream.libfm").write_text("\n".join(" ".join(f"{one}:1" for one in row) for row in both))
    spec, out = f"{made / 'nets.py'}:several", tmp_path / "several"
    assert offramp("build", spec, "--data", tmp_path / "stream.libfm", "--out", out, *QUICK).code == 0
    several = call_factory(spec).eval()
    deployment = from_bundle(Bundle.load(out).attach(several), backend, tmp_path / "stages", "toy")
    assert deployment.inputs[0].shape == (3, 2)
    with served(deployment) as (endpoint, _):
        ears = Ears()
        endpoint.ask({"input0": padded[:8]}, Wish("full"), ears)
        told = [one.logits for one in ears.finals(8) if isinstance(one, Answer)]
        np.testing.assert_allclose(np.stack(told)[:, 1], np.log(1 / (1 / click(several, padded[:8]) - 1)), atol=1e-4)
        wrong = padded[:3].copy()
        wrong[2, 2, 1] = 4
        with pytest.raises(BadRequestError, match=r"expected ids -1 to 3 in field 2 .* got 4 in sample 2"):
            endpoint.ask({"input0": wrong}, Wish("full"), ears)


@pytest.mark.parametrize("backend", ["eager", "onnx"])
def test_where_fields_are_not_known_a_number_in_no_table_is_the_clients_fault(
    made: Path, tmp_path: Path, backend: str
) -> None:
    """It fails alone, and is no sign that the model is broken."""
    np.savez(tmp_path / "rows.npz", x=ids_of(400, 1))
    spec, out = f"{made / 'nets.py'}:bare", tmp_path / "bare"
    asked = ["build", spec, "--data", tmp_path / "rows.npz", "--out", out, "--task", "ctr", *QUICK]
    assert offramp(*asked).code == 0
    deployment = from_bundle(Bundle.load(out).attach(call_factory(spec).eval()), backend, tmp_path / "stages", "toy")
    with served(deployment) as (endpoint, _):
        ids = ids_of(4, 8)
        ids[2, 0] = 1000
        for _time in range(6):
            ears = Ears()
            endpoint.ask({"input0": ids}, Wish("full"), ears)
            found = ears.finals(4)
            assert isinstance(found[2], BadRequestError)
            assert "expected ids that the model knows" in str(found[2])
            assert all(isinstance(found[at], Answer) for at in (0, 1, 3))
        assert endpoint.ready


@pytest.mark.parametrize(
    ("rows", "saying"),
    [
        (["1 0:1 6:1 15:1"], "expected ids 0 to 14, which the model knows"),
        (["1 0:1 6:1"], "expected one id of each of 3 fields"),
        (["1 0:1 1:1 6:1 11:1"], "got 2 of field 0"),
        (["1 0:1 6:0.5 11:1"], "expected one-hot fields 'idx:1'"),
        (["3 0:1 6:1 11:1"], "expected labels -1, 0 or 1"),
        (["-1 0:1 6:1 11:1", "0 0:1 6:1 11:1"], "got both -1 and 0"),
    ],
)
def test_rows_that_are_none_are_refused(made: Path, tmp_path: Path, rows: list[str], saying: str) -> None:
    (tmp_path / "wrong.libfm").write_text("\n".join(rows))
    data = tmp_path / "wrong.libfm"
    refused("evaluate", made / "bundle", f"{made / 'nets.py'}:net", "--data", data, "--batch-sizes", "", saying=saying)
