"""What a format has before, between and behind its rows, so that a file may be made of several readings. Pure."""

from domain.exports.model import Export


class Framer:
    """For one file. `begun` says that rows of it were written before, by whoever made its beginning.

    Rows end with a line end, which is never inside of a row of JSON. Of JSON the last one is held back, since nothing
    may follow the last row.
    """

    def __init__(self, wanted: Export, begun: bool = False) -> None:
        self._is_json = wanted.format == "json"
        heading = ",".join(f'"{name}"' for name in wanted.fields).encode() + b"\n"
        first = {"csv": heading, "json": b"[\n"}.get(wanted.format, b"")
        self._before = b"" if begun else first
        self._left = b"\n" if begun else b""

    def piece(self, rows: bytes) -> bytes:
        """The next bytes of the file."""
        before, self._before = self._before, b""
        if not self._is_json:
            return before + rows
        rows, self._left = self._left + rows, b""
        if rows.endswith(b"\n"):
            rows, self._left = rows[:-1], b"\n"
        return before + rows.replace(b"\n", b",\n")

    def end(self) -> bytes:
        """The last bytes of the file."""
        return self._before + (b"\n]\n" if self._is_json else b"")
