"""Shows the examples of docstrings as code: they are written as doctests behind the text, without a heading."""

import re

import griffe

EXAMPLE = re.compile(r"^( *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)


class Fenced(griffe.Extension):
    """Puts a fence around each run of lines that begins with `>>>`, as far as the next empty line."""

    def on_object(self, *, obj, loader, **kwargs):
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(_fenced, obj.docstring.value)


def _fenced(match):
    indent, found = match[1], match[0]
    return f"{indent}```pycon\n{found}\n{indent}```"
