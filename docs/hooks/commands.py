"""Makes the page of all commands from the help that the commands themselves give, so that it cannot go stale."""

import inspect
from collections.abc import Iterator

import typer

PAGE = "reference/commands.md"


def on_page_markdown(markdown, page, config, files):
    return f"{markdown}\n{told()}" if page.file.src_uri == PAGE else markdown


def told():
    """What all commands say of themselves, as Markdown."""
    from offramp.cli.commands import app

    return "\n".join(_described("offramp", typer.main.get_command(app)))


def _described(name, command) -> Iterator[str]:
    for each, inner in command.commands.items():
        full = f"{name} {each}"
        if hasattr(inner, "commands"):
            yield from _described(full, inner)
        else:
            yield from _section(full, inner)


def _section(name, command) -> Iterator[str]:
    context = typer.Context(command, info_name=name)
    shown = [one for one in command.params if not one.hidden]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    usage = " ".join([name, *(one.metavar or one.name.upper() for one in arguments), "[OPTIONS]"])
    yield f"## {name}\n"
    yield from _help(command.help)
    yield f"```text\n{usage}\n```\n"
    yield "| Option | Meaning |\n|---|---|"
    for one in shown:
        left, right = one.get_help_record(context)
        if one in arguments:
            left = one.metavar or one.name.upper()
        yield f"| `{_cell(left)}` | {_cell(right)} |"
    yield ""


def _help(text) -> Iterator[str]:
    """Paragraphs as they are, and what is indented (examples) as commands."""
    code = False
    for line in inspect.cleandoc(text.replace("\b", "")).splitlines():
        indented = line.startswith("  ")
        if indented != code:
            yield "\n```sh" if indented else "```\n"
        code = indented
        yield line.strip() if indented else line
    yield "```\n" if code else ""


def _cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" in text else text.replace("|", "\\|")
