"""Links of the documents to files outside of Docs/ lead to the repository on the site: they work there as on the code host."""

from __future__ import annotations

import os
import re
from pathlib import Path

_LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)]*)?\))")


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Called by mkdocs for every page."""
    docs = Path(config["docs_dir"])
    folder = (docs / page.file.src_path).parent

    def lead(match: re.Match) -> str:
        target = Path(os.path.normpath(folder / match[2]))
        if docs in target.parents or not target.exists():
            return match[0]
        place = target.relative_to(docs.parent).as_posix()
        return f"{match[1]}{config['repo_url']}/blob/main/{place}{match[3]}"

    return _LINK.sub(lead, markdown)
