import re

import pytest
from typer.testing import CliRunner

from offramp.citations import WORKS, cited
from offramp.cli.commands import app
from offramp.recipes import NAMES, recipe


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_recipe_says_what_it_stands_on(name: str) -> None:
    works = cited(recipe(name))
    assert works
    assert len({work.key for work in works}) == len(works)


@pytest.mark.parametrize("key", sorted(WORKS))
def test_entries_are_bibtex_with_balanced_braces(key: str) -> None:
    text = WORKS[key].bibtex()
    assert re.match(rf"@(article|inproceedings)\{{{key},\n", text)
    assert text.count("{") == text.count("}")
    assert {"title", "author", "year"} <= set(re.findall(r"^  (\w+) = ", text, re.MULTILINE))


def test_the_command_prints_the_entries_of_a_recipe() -> None:
    found = CliRunner().invoke(app, ["cite", "selfxit"])
    assert found.exit_code == 0
    assert found.output.startswith("@article{selfxit,")
    assert found.output.count("@") == 4
