import json
from pathlib import Path

from tests.cli.world import World, offramp, refused


def test_exit_codes_say_whether_it_holds(world: World) -> None:
    command = ("validate", world.bundle, *world.net, "--data", world.data)
    holds = offramp(*command, "--max-drop", 100)
    assert holds.code == 0, holds
    assert "drop of accuracy" in holds.out
    assert "yes" in holds.out
    fails = offramp(*command, "--max-drop", 100, "--min-speedup", 1000, "--rounds", 4)
    assert fails.code == 1, fails
    assert "fails: speed-up on eager at batch 1: " in fails.out
    assert " less than 1000" in fails.out
    assert fails.err == ""


def test_the_certificate_alone_needs_neither_model_nor_data(world: World) -> None:
    assert offramp("validate", world.bundle, "--max-drop", 100).code == 0
    fails = offramp("validate", world.bundle, "--max-drop", 0, "--point", "fastest")
    assert fails.code == 1
    assert "by its certificate alone" in fails.out


def test_json_has_every_condition(world: World) -> None:
    command = ("validate", world.bundle, *world.net, "--data", world.data, "--no-labels", "--certified")
    found = json.loads(offramp(*command, "--max-drop", 30, "--json").out)
    assert [one["name"] for one in found["conditions"]] == ["certified disagreement", "disagreement"]
    assert found["holds"] == all(one["holds"] for one in found["conditions"])
    assert found["part"] == "report"


def test_wrong_questions_have_another_code_than_a_failure(world: World, tmp_path: Path) -> None:
    command = ("validate", world.bundle, *world.net, "--data", world.data)
    refused(*command, saying="expected something to validate")
    refused(*command, "--max-drop", -1, saying="expected --max-drop in percentage points")
    refused(*command, "--max-drop", 1, "--point", "nothing", saying="expected an operating point among full")
    refused("validate", world.bundle, "--min-speedup", 1.2, saying="expected --data to measure time on")
    refused("validate", tmp_path, "--max-drop", 1, saying="manifest")
    refused(*command, "--max-drop", 1, "--backend", "abacus", saying="expected a back end among")


def test_few_samples_are_said_to_be_few(world: World) -> None:
    """45 samples of the report part: a risk of 300 / 45 % shows on none of them once in twenty times."""
    command = ("validate", world.bundle, *world.net, "--data", world.data)
    said = "note: 45 samples say little about 1 %: a risk of 6.7 % may show on none of them; give at least 300"
    assert said in offramp(*command, "--max-drop", 1).err
    assert offramp(*command, "--max-drop", 10).err == ""
    assert json.loads(offramp(*command, "--max-drop", 10, "--json").out)["doubt"] is None
