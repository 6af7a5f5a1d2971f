"""The one exception that is shown to users as a sentence instead of a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can mend: a key, a file, a row, an item.

    Parameters
    ----------
    what : what is wrong, one sentence.
    where : the file, line or item concerned.
    mend : what to do about it.
    """

    def __init__(self, what: str, *, where: object = None, mend: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.mend = mend
        super().__init__(self.render())

    def render(self) -> str:
        """The message as printed: `where: what`, and the remedy on a line of its own."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  -> {self.mend}" if self.mend else head
