"""Brings what lies outside this folder into the site: two pages of the project, and files that pages link to."""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
KNOWN = PAGES | {"README.md": "index.md"}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)#\s]+)")


def on_files(files, config):
    root = Path(config.config_file_path).parent
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=_moved((root / name).read_text(), name, page)))
    for page in list(files.documentation_pages()):
        for target in map(_path_of(f"docs/{page.src_uri}"), LINK.findall(page.content_string)):
            if not target.startswith(("docs/", "..")) and target not in KNOWN and (root / target).is_file():
                files.append(File.generated(config, f"source/{target}", abs_src_path=str(root / target)))
    return files


def on_page_markdown(markdown, page, config, files):
    return _moved(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def _moved(text, written, page):
    """The text with its links, which hold for the file `written` in the repository, as they hold in the site."""
    found = _path_of(written)

    def link(match):
        target = found(match[1])
        inside = target.startswith("docs/")
        place = target.removeprefix("docs/") if inside else KNOWN.get(target, f"source/{target}")
        return posixpath.relpath(place, posixpath.dirname(page) or ".")

    return LINK.sub(link, text)


def _path_of(written):
    """From a link in the file `written` to a path in the repository."""
    return lambda link: posixpath.normpath(posixpath.join(posixpath.dirname(written), link))
