"""Hook of hatchling: the JSON Schema becomes a file of the wheel."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SchemaHook(BuildHookInterface):
    """Writes the schema that `gdrun schema` prints to build/, and includes it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the file; an editable installation has no use for it."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from gdrun.experiment.schema import schema

        path = Path(self.root, "build", "gdrun.schema.json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(schema()))
        build_data["force_include"][str(path)] = "gdrun/gdrun.schema.json"
