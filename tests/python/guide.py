"""The snippets of docs/guide.md in Python, to be run as they stand there."""

import ast
import re
from types import SimpleNamespace

from chat_server import REPOSITORY

PAGE = (REPOSITORY / "docs/guide.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


class Guide(SimpleNamespace):
    """What the snippets define, in one file as the page says."""

    def __init__(self):
        names = {"__name__": "guide"}
        exec(compile("\n".join(SNIPPETS), "docs/guide.md", "exec"), names)
        self.called = set()
        for name in self.functions():
            names[name] = self._watched(name, names[name])
        super().__init__(**names)

    def _watched(self, name, function):
        def call(*arguments, **options):
            self.called.add(name)
            return function(*arguments, **options)

        return call

    @staticmethod
    def functions():
        """By name; a snippet without one would be run by nobody."""
        for snippet in SNIPPETS:
            found = [statement.name for statement in ast.parse(snippet).body if isinstance(statement, ast.FunctionDef)]
            assert found, f"nothing to call in {snippet}"
            yield from found

    def uncalled(self):
        return set(self.functions()) - self.called
