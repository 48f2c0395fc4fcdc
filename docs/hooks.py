"""Hooks of MkDocs: files outside docs/ become pages, and links of the repository hold on the site.

Every link in the Markdown of this project is relative to its file, so that it works on a forge. On
the site, a link to another page leads to that page. A picture or a config that a page links to is
copied into the site. Other files of the repository are named without a link.
"""

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
    "config/README.md": "configs.md",
}
"""Pages whose files are not in docs/, with their names on the site."""
COPIED = (".png", ".svg", ".yaml", ".json")
"""Endings of files that are copied into the site if a page links to them."""
QUESTIONS = "Questions"

LINK = re.compile(r"(?P<mark>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^()\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def source_of(page: str) -> str:
    """The path in the repository of a page of the site."""
    of_pages = {name: path for path, name in PAGES.items()}
    return of_pages.get(page, f"docs/{page}")


def place_of(path: str) -> str | None:
    """The path on the site of a file of the repository. None if the site does not have it."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    is_file = (ROOT / path).is_file() and not path.startswith("..")
    return f"files/{path}" if is_file and path.endswith(COPIED) else None


def links_of(markdown: str, page: str) -> list[str]:
    """The files of the repository that a page links to, as paths in the repository."""
    found = []
    for match in LINK.finditer(CODE.sub("", markdown)):
        target = match["target"].partition("#")[0]
        if target and "://" not in target:
            found.append(_in_repository(target, page))
    return found


def with_links_of_the_site(markdown: str, page: str) -> str:
    """The text of a page with links that hold on the site.

    Args:
        markdown: the text, with links that are relative to its file.
        page: the path of the page on the site.
    """

    def replaced(match: re.Match[str]) -> str:
        target, hash_, anchor = match["target"].partition("#")
        if not target or "://" in target:
            return match[0]
        path = _in_repository(target, page)
        place = place_of(path)
        if place is None:  # MkDocs warns of a link to a file that is missing
            return match["text"] if (ROOT / path).exists() else match[0]
        relative = os.path.relpath(place, Path(page).parent)
        return f"{match['mark']}[{match['text']}]({relative}{hash_}{anchor})"

    def outside_code(text: str) -> str:
        return LINK.sub(replaced, text)

    blocks = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(b if b.startswith("```") else outside_code(b) for b in blocks)


def _in_repository(target: str, page: str) -> str:
    return os.path.normpath(Path(source_of(page)).parent / target)


def on_config(config: Any) -> Any:
    """Add the pages on questions to the navigation, as far as there are any."""
    there = sorted(path.name for path in (ROOT / "docs").glob("questions*.md"))
    if there:
        places = [next(iter(entry)) for entry in config.nav]
        config.nav.insert(places.index("Methods"), {QUESTIONS: there})
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages and files from outside docs/."""
    from mkdocs.structure.files import File

    for path, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / path).read_text("utf-8")))
    pages = [file for file in files if file.src_uri.endswith(".md")]
    for page in pages:
        for path in links_of(page.content_string, page.src_uri):
            place = place_of(path)
            if place and place.startswith("files/") and files.get_file_from_path(place) is None:
                files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let the links of a page hold on the site."""
    return with_links_of_the_site(markdown, page.file.src_uri)
