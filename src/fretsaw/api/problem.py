"""One thing that is wrong with an object, as every reader and validator reports it.

`api.manifest` adds the file, line and object; the validators know only the path inside the object.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning"]
By = Literal["schema", "rule", "runtime", "file"]


class Problem(msgspec.Struct, frozen=True, order=True):
    """What is wrong, where inside the object, what was seen and what would be right."""

    path: str
    """Like `spec.template.spec.requirements[0].values`; empty for the object or file as a whole."""
    message: str
    severity: Severity = "error"
    by: By = "schema"
    """`schema`: field names and types; `rule`: what an API server checks beyond them; `runtime`: what a controller
    refuses later; `file`: the text itself."""
    seen: str = ""
    right: str = ""

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        if self.seen:
            text += f": {self.seen}"
        if self.right:
            text += f" ({self.right})"
        return text
