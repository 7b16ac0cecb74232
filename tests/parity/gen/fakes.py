"""Sockets made of scripted bytes, and the way answers are written down.

Nothing here knows what a right answer is: CPython's own http.client is driven
over these sockets, and whatever it says is recorded.
"""

import io
import re


class Segments(io.RawIOBase):
    """A raw stream that hands out one segment (or a part of it) per read."""

    def __init__(self, segments):
        self.segments = [bytes(segment) for segment in segments if segment]

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.segments:
            return 0
        segment = self.segments[0]
        count = min(len(buffer), len(segment))
        buffer[:count] = segment[:count]
        if count == len(segment):
            self.segments.pop(0)
        else:
            self.segments[0] = segment[count:]
        return count


class Socket:
    """A socket: one scripted answer per makefile(), and a record of what was sent."""

    def __init__(self, answers=()):
        self.answers = list(answers)
        self.sent = bytearray()
        self.closed = False

    def makefile(self, mode="r", buffering=-1):
        segments = self.answers.pop(0) if self.answers else []
        return io.BufferedReader(Segments(segments))

    def sendall(self, data):
        # A real socket takes anything with a buffer, and nothing else.
        self.sent += memoryview(data).tobytes()

    def setsockopt(self, *args):
        pass

    def close(self):
        self.closed = True


REPEATED = re.compile(r"(?s)(.{1,40}?)\1{15,}")


def pack(data):
    """Bytes or text as JSON: Latin-1 text, with long repetitions counted."""
    text = data if isinstance(data, str) else bytes(data).decode("latin-1")
    if len(text) < 240:
        return text
    parts = []
    start = 0
    for match in REPEATED.finditer(text):
        if match.start() > start:
            parts.append(text[start : match.start()])
        unit = match.group(1)
        parts.append([unit, len(match.group(0)) // len(unit)])
        start = match.end()
    if not parts:
        return text
    if start < len(text):
        parts.append(text[start:])
    return parts


def exception(error):
    """An exception as JSON: its class, and the fields that a user can see."""
    known = {"x": type(error).__name__}
    if hasattr(error, "partial"):
        known["partial"] = pack(error.partial)
        known["expected"] = error.expected
    if hasattr(error, "line"):
        known["line"] = pack(error.line)
    if hasattr(error, "version"):
        known["version"] = error.version
    if type(error) is OSError:
        known["message"] = str(error)
    return known
