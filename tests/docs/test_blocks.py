"""No block slips by: the reader of pages, the parser of commands and the comparison of outputs can fail."""

from pathlib import Path

import pytest

from offramp.errors import OfframpError
from tests.docs import parsing
from tests.docs.blocks import UntoldError, blocks
from tests.docs.running import Reader, alike, check, plain
from tests.docs.shell import Command, commands

PAGE = Path("page.md")


def text(*lines: str) -> str:
    return "\n".join(lines)


@pytest.mark.parametrize(
    "page",
    [
        text("```", "offramp cite selfxit", "```"),
        text("```bash", "offramp cite selfxit", "```"),
        text("Made by", "", "    offramp cite selfxit"),
        text("<!-- parsed only: -->", "```sh", "offramp cite selfxit", "```"),
        text("<!-- parsed only: takes hours -->", "```text", "a", "```"),
        text("<!-- run by tests/docs/nowhere.py: needs Ray -->", "```python", "1", "```"),
        text("<!-- skipped: why not -->", "```perl", "1", "```"),
    ],
)
def test_a_block_of_which_nothing_is_said_is_refused(page: str) -> None:
    with pytest.raises(UntoldError):
        blocks(PAGE, page)


def test_blocks_say_what_is_done_with_them() -> None:
    page = text(
        "# Title", "", "* a list", "", "    its second paragraph", "", "  ```python", "  1", "  ```", "", "Text", "",
        "<!-- parsed only: takes hours -->", "```sh", "make bench", "```", "",
        "<!-- run by tests/docs/test_scale_out.py: needs Ray -->", "```python", "2", "```",
    )  # fmt: skip
    found = [(block.language, block.text, block.duty, block.told, block.line) for block in blocks(PAGE, page)]
    assert found == [
        ("python", "1", "executed", "", 7),
        ("sh", "make bench", "parsed", "takes hours", 14),
        ("python", "2", "elsewhere", "tests/docs/test_scale_out.py", 19),
    ]


def test_a_marker_must_name_a_test_that_knows_the_page() -> None:
    marker = "<!-- run by tests/docs/test_scale_out.py: needs Ray -->"
    [block] = blocks(PAGE, text(marker, "```python", "1", "```"))
    with pytest.raises(AssertionError, match="does not name this page"):
        check(block)


def test_commands_may_hide_in_no_listing() -> None:
    [block] = blocks(PAGE, text("```text", "offramp cite selfxit", "```"))
    with pytest.raises(AssertionError, match="expected `sh`"):
        check(block)


def test_commands_are_read_as_a_shell_reads_them() -> None:
    [plain_, shown] = blocks(
        PAGE,
        text(
            "```sh", "offramp cite \\", "  selfxit  # a comment", "", "curl localhost:8000/v2 -d '{", "}'", "```",
            "```console", "$ offramp cite selfxit > cited.bib", "$ offramp cite \\", "> dyce", "@misc{", "}", "```",
        ),
    )  # fmt: skip
    assert commands(plain_) == [
        Command(("offramp", "cite", "selfxit")),
        Command(("curl", "localhost:8000/v2", "-d", "{\n}")),
    ]
    assert commands(shown) == [
        Command(("offramp", "cite", "selfxit"), ()),
        Command(("offramp", "cite", "dyce"), ("@misc{", "}")),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "offramp build timm:resnet50 --data photos/ --out b --no-such-option",
        "offramp nothing",
        "offramp build timm:resnet50 --out b",
        "offramp build timm:resnet50 --data d --out b --max-drop little",
        "offramp build timm:resnet50 --data d --out b --recipe nothing",
        "offramp build timm:resnet50 --data d --out b --batch-sizes 1,x",
        "offramp tune b --data d --backend cuda --out t",
        "offramp bench methods benchmarks/methods/nothing.toml --out m.json",
        "python -m benchmarks.nothing benchmarks/zoo/config.json",
        "python -m benchmarks.zoo benchmarks/zoo/nothing.json",
        "python -m benchmarks.zoo benchmarks/zoo/config.json --no-such-option",
        "make nothing",
        "pip install 'offramp[nothing]'",
        "curl localhost:8000/v3/models",
        "curl localhost:8000/v2/models/m/infer -d '{'",
        "perl -e 1",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    [block] = blocks(PAGE, text("<!-- parsed only: a trial -->", "```sh", line, "```"))
    with pytest.raises((AssertionError, OfframpError, SystemExit, ImportError, ValueError, *usage_errors())):
        check(block)


def usage_errors() -> tuple[type[Exception], ...]:
    import typer

    return tuple(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


@pytest.mark.parametrize(
    "line",
    [
        "offramp build timm:resnet50 --data photos/ --out b --recipe selfxit --task regression:0.5",
        "offramp tune b --data d --backend onnx --batch-sizes 1:0.2,32 --out t",
        "python -m benchmarks.zoo benchmarks/zoo/config.json --only timm:resnet10t",
        "pip install 'offramp[serve]'",
        'curl -X PUT localhost:8000/v2/models/m/active -d \'{"operating_point": "fast"}\'',
    ],
)
def test_a_right_one_passes(line: str) -> None:
    [block] = blocks(PAGE, text("<!-- parsed only: a trial -->", "```sh", line, "```"))
    check(block)


@pytest.mark.parametrize("line", parsing.helped(), ids=lambda line: line.replace(" ", "-"))
def test_the_examples_of_help_texts_are_right(line: str) -> None:
    [command] = commands(blocks(PAGE, text("```sh", line, "```"))[0])
    parsing.check(command.words)


def test_outputs_are_compared_but_for_numbers() -> None:
    said = ["point   cost", "", "fast    31.2 %", "slow    99 %", "bundle: out (3 s)"]
    assert alike(("point cost", "fast 28 %", "slow 100 %", "bundle: out  (12 s)"), said)
    assert alike(("point cost", "…", "bundle: out (1 s)"), said)
    assert not alike(("point cost", "bundle: out (1 s)"), said)
    assert not alike(("point cost", "fast 28 %", "low 100 %", "bundle: out  (12 s)"), said)
    assert plain("1,234.5 x  31 %  12±3  -7") == "# x #"


def test_a_block_that_fails_and_one_that_says_something_else_are_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text("```python", "raise KeyError(1)", "```"))
    with pytest.raises(KeyError):
        Reader().read(page)
    page.write_text(text("```console", "$ offramp cite quick", "something else", "```"))
    with pytest.raises(AssertionError, match="said"):
        Reader().read(page)
    page.write_text(text("```sh", "offramp cite nothing", "```"))
    with pytest.raises(AssertionError, match="ended with 2"):
        Reader().read(page)
    page.write_text(text("```sh", "kubectl apply -f x", "```"))
    with pytest.raises(AssertionError, match="parsed only"):
        Reader().read(page)
