"""Vectors about several exchanges on one HTTPConnection, and about debuglevel.

A script is a list of answers, one for each getresponse(), whatever connection it comes
on: [bytes] stays open after it, [bytes, "eof"] ends the connection.
"""

import contextlib
import io
from http.client import HTTPConnection

from .fakes import Segments, Socket, exception, pack
from .requests import body_of, headers_of

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
TE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Scripted(Socket):
    """A socket that takes its answers from a script that all connections share."""

    def __init__(self, script):
        super().__init__()
        self.script = script
        self.ended = False

    def makefile(self, mode="r", buffering=-1):
        data = b""
        if self.script and not self.ended:
            data, *rest = self.script.pop(0)
            self.ended = bool(rest)
        return io.BufferedReader(Segments([data]))


class Session:
    """One HTTPConnection, its sockets and the response at hand."""

    def __init__(self, script, new=("example.com",)):
        self.sockets = []
        self.script = list(script)
        self.connection = HTTPConnection(*new)
        self.connection._create_connection = self.create
        self.response = None

    def create(self, *args):
        self.sockets.append(Scripted(self.script))
        return self.sockets[-1]

    def perform(self, name, args):
        if name == "request":
            method, url, body, headers = args
            self.connection.request(method, url, body_of(body), headers_of(headers))
        elif name == "getresponse":
            self.response = self.connection.getresponse()
            return self.response.status
        elif name in ("read", "readline"):
            return {"b": pack(getattr(self.response, name)(*args))}
        elif name == "response-close":
            self.response.close()
        elif name == "isclosed":
            return self.response.isclosed()
        elif name == "connected":
            return self.connection.sock is not None
        elif name == "close":
            self.connection.close()
        elif name == "set_debuglevel":
            self.connection.set_debuglevel(*args)
        elif name == "set_tunnel":
            host, port, headers = args
            self.connection.set_tunnel(host, port, headers_of(headers))
        else:
            getattr(self.connection, name)(*args)
        return None

    def run(self, calls):
        out = []
        for name, *args in calls:
            try:
                out.append(self.perform(name, args))
            except Exception as error:
                out.append(exception(error))
        return {"out": out, "sent": [pack(one.sent) for one in self.sockets]}


def get(url="/"):
    return ["request", "GET", url, None, []]


EXCHANGE = [["getresponse"], ["connected"], ["read"], ["connected"]]


def vector(ident, script, calls, forced=None, clean=None):
    """`forced`: close() put before this call; `clean`: the script it is played with then.

    That is the twin: what CPython does where the connection is given up in time.
    """
    result = {"id": ident, "kind": "connections", "calls": calls,
        "script": [[pack(one[0]), *one[1:]] for one in script]}
    result["expect"] = Session(script).run(calls)
    if forced is not None:
        twin = Session(clean or script).run([*calls[:forced], ["close"], *calls[forced:]])
        del twin["out"][forced]
        result["forced"] = forced
        result["twin"] = twin
    return result


def reuse():
    two = [get("/1"), *EXCHANGE, get("/2"), *EXCHANGE]
    answers = {
        "length": [OK + b"ok"], "chunked": [TE + b"2\r\nok\r\n0\r\n\r\n"],
        "close": [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "eof"],
        "CLOSE": [b"HTTP/1.1 200 OK\r\nConnection: cloSE\r\nContent-Length: 2\r\n\r\nok", "eof"],
        "eof": [b"HTTP/1.1 200 OK\r\n\r\nok", "eof"],
        "old": [b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "eof"],
        "old-keep": [b"HTTP/1.0 200 OK\r\nConnection: keep-ALIVE\r\nContent-Length: 2\r\n\r\nok"],
        "none": [b"HTTP/1.1 204 No Content\r\n\r\n"],
        "not-modified": [b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"],
        "empty": [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
        "interim": [b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"ok"],
        "trailers": [TE + b"2\r\nok\r\n0\r\nA: b\r\n\r\n"],
    }
    for name, answer in answers.items():
        yield vector(f"reuse/{name}", [answer, [OK + b"ok"]], two)
        yield vector(f"reuse-three/{name}", [answer, answer, answer], [*two, get("/3"), *EXCHANGE])
        yield vector(f"reuse-sized/{name}", [answer, [OK + b"ok"]],
            [get(), ["getresponse"], ["read", 2], ["isclosed"], ["connected"], ["read", 2], ["isclosed"],
            get("/2"), *EXCHANGE])
        yield vector(f"reuse-unread/{name}", [answer, [OK + b"ok"]],
            [get(), ["getresponse"], get("/2"), ["getresponse"], ["read"]])
        yield vector(f"reuse-closed/{name}", [answer, [OK + b"ok"]],
            [get(), ["getresponse"], ["close"], ["isclosed"], get("/2"), *EXCHANGE])
    head = [["request", "HEAD", "/", None, []], ["getresponse"], ["connected"], ["read"], get("/2"),
        *EXCHANGE]
    yield vector("reuse-head", [[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"], [OK + b"ok"]], head)
    post = [["request", "POST", "/", ["str", "body"], []], *EXCHANGE,
        ["request", "PUT", "/", ["list", ["a", "b"]], []], *EXCHANGE]
    yield vector("reuse-post", [[OK + b"ok"], [OK + b"ok"]], post)
    late = [get("/1"), ["getresponse"], get("/2"), ["read"], ["getresponse"], ["read"]]
    yield vector("read-after-request", [[OK + b"ok"], [OK + b"ko"]], late)
    yield vector("request-request", [[OK + b"ok"]], [get("/1"), get("/2"), *EXCHANGE])
    yield vector("getresponse-twice", [[OK + b"ok"]],
        [get(), ["getresponse"], ["getresponse"], ["read"], ["getresponse"]])


def idle():
    """Bytes or the end of the connection, on a connection that waits for nothing."""
    calls = [get("/1"), ["getresponse"], ["read"], get("/2"), ["getresponse"], ["read"], ["connected"]]
    clean = [[OK + b"ok"], [OK + b"2!"]]
    surplus = {
        "eof": [OK + b"ok", "eof"], "bytes": [OK + b"okEXTRA"], "response": [OK + b"ok" + OK + b"no"],
        "crlf": [OK + b"ok\r\n"], "response-eof": [OK + b"ok" + OK + b"no", "eof"],
    }
    for name, first in surplus.items():
        yield vector(f"idle/{name}", [first, clean[1]], calls, forced=3, clean=clean)
    chunked = [TE + b"2\r\nok\r\n0\r\n\r\n" + OK + b"no"]
    yield vector("idle/chunked-response", [chunked, clean[1]], calls, forced=3, clean=clean)
    none = [b"HTTP/1.1 204 No Content\r\n\r\nbody"]
    yield vector("idle/204-bytes", [none, clean[1]], calls, forced=3,
        clean=[[b"HTTP/1.1 204 No Content\r\n\r\n"], clean[1]])


def failures():
    """An answer that cannot be taken: the next request needs a new connection."""
    calls = [get("/1"), ["getresponse"], ["connected"], get("/2"), ["getresponse"], ["read"], ["connected"]]
    for name, first in {
        "junk": b"junk\r\n\r\n", "code": b"HTTP/1.1 abc OK\r\n\r\n", "version": b"HTTP/2 200 OK\r\n\r\n",
        "long": b"HTTP/1.1 200 " + b"k" * 65536 + b"\r\n\r\n",
        "fields": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 150 + b"\r\n",
        "field-long": b"HTTP/1.1 200 OK\r\nA: " + b"v" * 65536 + b"\r\n\r\n",
    }.items():
        yield vector(f"failure/{name}", [[first], [OK + b"ok"]], calls, forced=2)
    for name, first in {"nothing": b"", "only-100": b"HTTP/1.1 100 Continue\r\n\r\n"}.items():
        yield vector(f"failure/{name}", [[first, "eof"], [OK + b"ok"]], calls)
    short = [get("/1"), ["getresponse"], ["read"], ["isclosed"], ["connected"], get("/2"), ["getresponse"],
        ["read"]]
    for name, first in {"length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "chunked": TE + b"5\r\nshort\r\n", "chunk-size": TE + b"xyz\r\nshort"}.items():
        yield vector(f"failure-body/{name}", [[first, "eof"], [OK + b"ok"]], short, forced=3)


def debug():
    """What set_debuglevel(1) prints."""
    cases = {
        "get": ([[OK + b"ok"]], [get("/path"), ["getresponse"], ["read"]]),
        "fields": ([[b"HTTP/1.1 404 Not Found\r\nA: b\r\na: c, d\r\nContent-Length: 0\r\n\r\n"]],
        [get(), ["getresponse"], ["read"]]),
        "latin": ([[b"HTTP/1.1 200 d\xe9j\xe0\r\nA: caf\xe9\r\nContent-Length: 0\r\n\r\n"]],
        [get(), ["getresponse"]]),
        "post": ([[OK + b"ok"]], [["request", "POST", "/", ["str", "it's a \"body\"\n\xe9\\"], []],
        ["getresponse"]]),
        "chunked": ([[OK + b"ok"]], [["request", "POST", "/", ["list", ["one", "", "two"]], []],
        ["getresponse"]]),
        "interim": ([[b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\n" + OK + b"ok"]], [get(), ["getresponse"]]),
        "reason-none": ([[b"HTTP/1.0 204\r\n\r\n"]], [get(), ["getresponse"]]),
        "junk": ([[b"it's \"junk\"\r\n\r\n"]], [get(), ["getresponse"]]),
        "quote": ([[b"HTTP/1.1 200 it's\r\nContent-Length: 0\r\n\r\n"]], [get("/it's"), ["getresponse"]]),
        "disconnected": ([[b"", "eof"]], [get(), ["getresponse"]]),
        "tunnel": ([[b"HTTP/1.1 200 OK\r\nX-Dummy: 1\r\n\r\n"], [OK + b"ok"]],
        [["set_tunnel", "dest.example", 443, []], get(), ["getresponse"], ["read"]]),
        "off": ([[OK + b"ok"]], [["set_debuglevel", 0], get(), ["getresponse"]]),
        "two-writes": ([[OK + b"ok"]], [["putrequest", "GET", "/"], ["putheader", "A", "1"], ["endheaders"],
        ["getresponse"]]),
    }
    for name, (script, calls) in cases.items():
        text = io.StringIO()
        session = Session(script)
        session.connection.set_debuglevel(1)
        with contextlib.redirect_stdout(text):
            session.run(calls)
        yield {"id": f"debug/{name}", "kind": "debuglevel", "calls": calls,
            "script": [[pack(one[0]), *one[1:]] for one in script],
               "expect": [pack(line) for line in text.getvalue().split("\n")[:-1]]}


def connections():
    return {"connections": [*reuse(), *idle(), *failures()], "debuglevel": [*debug()]}
