"""Vectors about requests: a list of API calls in, the bytes on the wire out.

A "twin" is CPython's answer to almost the same: without the calls that this library
refuses ("refused"), because that is what a refused call must leave behind; with bytes
for text; with a proxy that says a plain 200; with an ASCII host. The rows need it to say
what the answer must be where it is not CPython's.
"""

import array
import io
from http.client import HTTPConnection, HTTPSConnection

from .fakes import Socket, exception, pack

PLAIN = [b"HTTP/1.1 200 OK\r\n\r\n"]


def body_of(spec):
    """A body from its description: [kind, content]."""
    if spec is None:
        return None
    kind, content = spec
    if kind == "str":
        return content
    if kind == "int":
        return content
    if kind == "list":
        return [part.encode("latin-1") for part in content]
    if kind == "tuple":
        return tuple(part.encode("latin-1") for part in content)
    if kind == "gen":
        return (part.encode("latin-1") for part in content)
    if kind == "strs":
        return list(content)
    data = content.encode("latin-1")
    if kind == "text":
        return io.StringIO(content)
    makers = {"bytes": bytes, "bytearray": bytearray, "memoryview": memoryview, "file": io.BytesIO}
    if kind in makers:
        return makers[kind](data)
    if kind == "array16":
        return array.array("H", data)
    raise ValueError(kind)


def value_of(spec):
    """A header value: text, a number, or {"b": bytes}."""
    return spec["b"].encode("latin-1") if isinstance(spec, dict) else spec


def headers_of(pairs):
    return {value_of(name): value_of(value) for name, value in pairs}


def perform(connection, name, args):
    """One API call."""
    if name == "request":
        method, url, body, headers, *rest = args
        options = {"encode_chunked": rest[0]} if rest else {}
        connection.request(method, url, body_of(body), headers_of(headers), **options)
    elif name == "putheader":
        connection.putheader(*(value_of(arg) for arg in args))
    elif name == "endheaders":
        options = {"encode_chunked": args[1]} if len(args) > 1 else {}
        connection.endheaders(body_of(args[0]) if args else None, **options)
    elif name == "send":
        connection.send(body_of(args[0]))
    elif name == "set_tunnel":
        host, port, headers = args
        connection.set_tunnel(host, port, headers_of(headers) if headers is not None else None)
    elif name == "getresponse":
        connection.getresponse().read()
    elif name == "proxy_headers":
        headers = connection.get_proxy_response_headers()
        return {"pairs": None if headers is None else [list(pair) for pair in headers.items()]}
    elif name in ("putrequest", "connect", "close"):
        getattr(connection, name)(*args)
    else:
        raise ValueError(name)
    return None


def run(scheme, new, calls, answers, auto_open=True, blocksize=None):
    """CPython's answer: what each call gave or threw, and all bytes sent."""
    sockets = []

    def create(address, timeout=None, source_address=None):
        sockets.append(Socket([[answer] for answer in answers[len(sockets)]] if len(sockets) < len(answers) else []))
        return sockets[-1]

    kind = HTTPSConnection if scheme == "https" else HTTPConnection
    options = {} if blocksize is None else {"blocksize": blocksize}
    try:
        connection = kind(*new, **options)
    except Exception as error:
        return {"new": exception(error)}
    connection._create_connection = create
    if scheme == "https":
        # TLS is no part of the exchange: a ready socket is put in.
        connection.sock = create(None)
    if not auto_open:
        connection.auto_open = 0
    out = []
    for name, *args in calls:
        try:
            out.append(perform(connection, name, args))
        except Exception as error:
            out.append(exception(error))
    return {"out": out, "sent": [pack(one.sent) for one in sockets]}


IDNA = "idna-in-its-place.example"


def as_bytes(value):
    """Calls with bytes in the place of text bodies."""
    if isinstance(value, list):
        if len(value) == 2 and value[0] in ("str", "strs"):
            return ["bytes" if value[0] == "str" else "list", value[1]]
        return [as_bytes(one) for one in value]
    return value


def as_ascii(value):
    """Arguments and calls with a host in US-ASCII, and the host that was there."""
    (host, *rest), calls = value
    wide = None
    if not host.isascii():
        wide, _, port = host.partition(":")
        host = IDNA + _ + port
    changed = []
    for call in calls:
        if call[0] == "set_tunnel" and not call[1].isascii():
            wide, _, port = call[1].partition(":")
            call = ["set_tunnel", IDNA + _ + port, *call[2:]]
        changed.append(call)
    return [[host, *rest], changed], wide


class Requests:
    """Collects vectors under a kind."""

    def __init__(self):
        self.vectors = []
        self.kind = ""

    def add(self, ident, calls, new=("example.com",), scheme="http", answers=None, refused=None,
        bodies=False, like=None, **options):
        """One vector. What the twin is like is told by which of these is given:

        refused  the calls that this library refuses: they are left out
        bodies   text as a body: bytes in its place
        like     other answers of the server
        (a host outside of US-ASCII: IDNA in its place)
        """
        answers = [list(PLAIN)] if answers is None else answers
        vector = {"id": f"{self.kind}/{ident}", "kind": self.kind, "new": list(new), "calls": calls}
        if scheme != "http":
            vector["scheme"] = scheme
        if answers != [PLAIN]:
            vector["answers"] = [[pack(answer) for answer in one] for one in answers]
        vector.update(options)
        vector["expect"] = run(scheme, new, calls, answers, **options)
        twin = None
        if refused is not None:
            marks = refused if isinstance(refused, list) else [refused]
            vector["refused"] = marks
            twin = new, [call for number, call in enumerate(calls) if number not in marks], answers
        elif bodies:
            twin = new, as_bytes(calls), answers
        elif like is not None:
            twin = new, calls, like
        elif not as_ascii([list(new), calls])[0] == [list(new), calls]:
            (new, calls), vector["wide"] = as_ascii([list(new), calls])
            twin = new, calls, answers
        if twin is not None:
            vector["twin"] = run(scheme, *twin, **options)
        self.vectors.append(vector)

    def request(self, ident, method="GET", url="/", body=None, headers=(), chunked=None, refused=None,
        **options):
        call = ["request", method, url, body, [list(pair) for pair in headers]]
        if chunked is not None:
            call.append(chunked)
        self.add(ident, [call], refused=None if refused is None else 0, **options)


BODIES = {
    "none": None, "str": ["str", "some text"], "str-empty": ["str", ""],
    "str-latin": ["str", "caf\xe9 \xff\x80"], "bytes": ["bytes", "raw \x00\xff"],
    "bytes-empty": ["bytes", ""], "bytearray": ["bytearray", "array"], "memoryview": ["memoryview", "view"],
    "array16": ["array16", "abcdef"], "file": ["file", "from a file"],
    "file-empty": ["file", ""], "text": ["text", "t\xe9xt"], "list": ["list", ["one", "two", "three"]],
    "list-empty": ["list", []],
    "list-holes": ["list", ["", "one", "", "two", ""]], "tuple": ["tuple", ["a", "b"]],
    "gen": ["gen", ["x" * 10, "y" * 300]], "gen-empty": ["gen", []],
}

FRAMING = {
    "plain": [], "length": [["Content-Length", "9"]], "length-int": [["content-length", 9]],
    "length-wrong": [["Content-Length", "42"]], "coding": [["Transfer-Encoding", "chunked"]],
    "coding-gzip": [["transfer-encoding", "gzip, chunked"]],
    "both": [["Content-Length", "9"], ["Transfer-Encoding", "chunked"]],
}


def bodies(to):
    to.kind = "bodies"
    for body_name, body in BODIES.items():
        for framing_name, headers in FRAMING.items():
            for chunked in (None, True, False):
                # Without a Transfer-Encoding of the caller's, the option changes nothing: once is enough.
                if chunked is False and framing_name != "coding":
                    continue
                label = "" if chunked is None else f"/{'chunked' if chunked else 'unchunked'}"
                to.request(f"{body_name}/{framing_name}{label}", "POST", "/", body, headers, chunked)
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post",
        "Put", "PROPFIND", "X-ODD!"):
        for body_name in ("none", "str", "str-empty", "bytes-empty", "list-empty", "file-empty"):
            to.request(f"method-{method}/{body_name}", method, "/x", BODIES[body_name])
    for size in (0, 1, 8, 9, 17):
        to.request(f"blocksize-8/{size}", "PUT", "/", ["file", "0123456789abcdefg"[:size]], blocksize=8)
        to.request(f"blocksize-8-length/{size}", "PUT", "/", ["file", "0123456789abcdefg"[:size]],
            [["Content-Length", size]], blocksize=8)
        to.request(f"blocksize-8-text/{size}", "PUT", "/", ["text", "0123456789abcdef\xe9"[:size]],
            blocksize=8)
    to.request("large", "POST", "/", ["bytes", "0123456789" * 10000])
    to.request("large-str", "POST", "/", ["str", "0123456789" * 10000])
    to.request("large-file", "POST", "/", ["file", "0123456789" * 10000])
    to.request("large-list", "POST", "/", ["list", ["0123456789" * 1000] * 10])
    to.request("chunk-sizes", "POST", "/", ["list", ["a" * n for n in (1, 9, 10, 15, 16, 17, 255, 256)]])
    to.request("wide", "POST", "/", ["str", "snow \u2603"], refused=True)
    to.request("wide-end", "POST", "/", ["str", "a" * 50 + "\u0100"], refused=True)
    to.request("int", "POST", "/", ["int", 5], refused=True)
    to.request("strs", "POST", "/", ["strs", ["one", "two"]], bodies=True)


def headers(to):
    to.kind = "headers"
    sets = {
        "one": [["X-A", "1"]], "order": [["Z", "1"], ["A", "2"], ["m", "3"]],
        "case": [["x-LOWER-Upper", "V"]], "empty": [["X", ""]], "blanks": [["X", "  a b  "]],
        "tab": [["X", "\ta\tb\t"]],
        "latin": [["X", "caf\xe9"]], "bytes": [["X", {"b": "\xc3\xa9\xff"}]],
        "int": [["X", 42], ["Y", 0], ["Z", -7]], "host": [["Host", "other"]],
        "host-lower": [["host", "other:81"]],
        "accept": [["Accept-Encoding", "gzip"]], "accept-lower": [["accept-encoding", ""]],
        "both": [["HOST", "h"], ["ACCEPT-ENCODING", "br"]], "host-last": [["X", "1"], ["Host", "other"]],
        "user-agent": [["User-Agent", "x/1"]], "connection": [["Connection", "close"]],
        "expect": [["Expect", "100-continue"]], "te": [["TE", "trailers"]],
        "token": [["!#$%&'*+-.^_`|~09", "v"]],
        "long": [["X", "v" * 9000]], "many": [[f"N{n}", str(n)] for n in range(150)],
        "dup-case": [["X-A", "1"], ["x-a", "2"]], "proto": [["__proto__", "x"]],
        "nul-like": [["X", "a\\0b"]],
        "c1": [["X", "a\x85b\xa0"]], "quote": [["X", '"q"; a=b']],
    }
    for name, pairs in sets.items():
        to.request(name, "GET", "/", None, pairs)
        to.request(f"{name}/post", "POST", "/p", ["str", "body"], pairs)
    to.kind = "putheader"
    for name, values in {
        "none": [], "one": ["a"], "two": ["a", "b"], "three": ["a", "b", "c"], "int": [5],
        "ints": [1, 2, 3], "bytes": [{"b": "\xff\xe9"}], "mixed": ["a", 5, {"b": "z"}], "empty": [""],
        "empties": ["", ""], "blanks": [" a ", "\tb\t"], "latin": ["\xe9"], "large": [2**31, -1, 0],
    }.items():
        to.add(name, [["putrequest", "GET", "/"], ["putheader", "X-Name", *values], ["endheaders"]])
    to.add("order", [["putrequest", "GET", "/"], ["putheader", "B", "1"], ["putheader", "A", "2"],
        ["putheader", "b", "3"], ["endheaders"]])
    to.add("name-bytes", [["putrequest", "GET", "/"], ["putheader", {"b": "X-Bytes"}, "1"], ["endheaders"]])
    for skip_host in (False, True):
        for skip_accept in (False, True):
            to.add(f"skip-{int(skip_host)}{int(skip_accept)}",
                [["putrequest", "GET", "/", skip_host, skip_accept], ["endheaders"]])
    to.kind = "endheaders"
    for name, body in BODIES.items():
        for chunked in (None, False, True):
            label = {None: "", False: "/unchunked", True: "/chunked"}[chunked]
            end = ["endheaders", body] if chunked is None else ["endheaders", body, chunked]
            to.add(f"{name}{label}", [["putrequest", "POST", "/"], end], bodies=name.startswith("str"))
    to.kind = "send"
    start = [["putrequest", "POST", "/"], ["putheader", "Content-Length", 9], ["endheaders"]]
    for name, body in BODIES.items():
        if body is not None:
            to.add(name, [*start, ["send", body]], bodies=name.startswith("str"))
            to.add(f"{name}/first", [["send", body]], bodies=name.startswith("str"))
    to.add("twice", [*start, ["send", ["bytes", "abc"]], ["send", ["list", ["de", "f"]]], ["send", ["file",
        "ghi"]]])
    to.add("int", [*start, ["send", ["int", 5]], ["send", ["bytes", "abc"]]], refused=3)
    to.add("strs", [*start, ["send", ["strs", ["ab", "c"]]]], bodies=True)


def targets(to):
    to.kind = "targets"
    urls = [
        "/", "", "/a/b?c=d&e", "*", "?q", "a", "a/b", "//host/path", "//", "/../x", "/a%20b", "/a%0d%0ab",
        "/#frag", "/a#b?c", "/~!$&'()*+,;=:@", "/{}|\\^`\"<>[]", "example.org:443", "[::1]:443",
        "http://other.example/x", "http://other.example", "http://other.example:8080/x",
        "http://other.example:80/", "http://OTHER.example/", "http://other.example?q=1",
        "http://other.example#f", "http://[::1]/x", "http://[::1]:8080/x", "http://[fe80::1%25eth0]/x",
        "http://[fe80::1%eth0]:81/x", "https://other.example/x", "https://other.example:443/",
        "http:///path", "http://", "http:", "http:path", "http:/path", "httpx://other.example/y",
        "http2://other.example:1/", "HTTP://other.example/x", "Http://other.example/",
        "ftp://other.example/x",
        "ws://other.example/", "http", "httpfoo", "http://user@other.example/x",
        "http://user:pw@other.example:81/x", "http://@other.example/", "http://a@b@other.example/",
        "http://user:pw@[::1]:81/",
        "http://other.example:/", "http://other.example:99999/", "http://other.example:port/",
        "http://[bad/", "http://bad]/", "http://[::1]bad/", "http://[v1.x]/",
        "http://other.example\\@evil/",
        "https:opaque", "http://other.example//x",
    ]
    for number, url in enumerate(urls):
        to.request(f"{number}", "GET", url)
        to.request(f"{number}/port", "GET", url, new=("example.com", 8080))
    for url in ("*", "/", "http://other.example/"):
        to.request(f"options/{url}", "OPTIONS", url)
    for url in ("example.org:443", "example.org", "[::1]:443"):
        to.request(f"connect/{url}", "CONNECT", url)
    to.request("host-given", "GET", "http://user@other.example/", None, [["Host", "mine"]])
    to.kind = "hosts"
    hosts = [
        ("example.com",), ("EXAMPLE.com",), ("example.com:8080",), ("example.com", 8080),
        ("example.com:80",), ("example.com", 80), ("example.com", 443), ("example.com:",), ("127.0.0.1",),
        ("127.0.0.1", 81), ("[::1]",), ("[::1]:8080",), ("[::1]", 8080), ("::1", 8080), ("::1", 80),
        ("[2001:db8::1]:80",), ("[fe80::1%eth0]",), ("[fe80::1%25eth0]:81",), ("fe80::1%2", 81),
        ("b\xfccher.example",), ("b\xfccher.example", 8080), ("\u03b4\u03c0\u03b8.gr",),
        ("\u65e5\u672c\u8a9e.jp:81",), ("fa\xdf.de",), ("B\xdcCHER.example",), ("xn--bcher-kva.example",),
        ("\u2603.net",),
        ("a.example.",), ("a_b.example",), ("localhost",), ("",), ("example.com:0",), ("example.com", 0),
        ("[::ffff:1.2.3.4]:81",), ("\u3002.example",), ("ex\u3002ample",), ("a" * 64 + ".\xe9",),
        ("\u200d.example",),
        ("\xe9" * 60 + ".example",), ("example.com:65536",), ("example.com:-1",), ("example.com", -1),
        ("example.com", 65536), ("example.com:08080",), ("a..\xe9",),
    ]
    for number, new in enumerate(hosts):
        to.request(f"{number}", new=new)
        to.request(f"{number}/https", new=new, scheme="https")
    to.request("skip", headers=[["Host", ""]], new=("example.com", 81))


BAD_CHARS = {"cr": "\r", "lf": "\n", "crlf": "\r\n", "crlf-field": "\r\nX-Evil: 1",
    "lf-field": "\nX-Evil: 1", "fold": "\r\n ", "fold-tab": "\r\n\t", "lf-fold": "\n ", "nul": "\0",
    "01": "\x01",
             "tab": "\t", "0b": "\x0b", "0c": "\x0c", "1f": "\x1f", "del": "\x7f", "space": " ",
             "latin": "\xe9", "85": "\x85", "a0": "\xa0", "snow": "\u2603", "colon": ":", "ls": "\u2028"}

# Which of them this library refuses where CPython does not: the twin shows what must be left.
TOKEN = {"colon", "space", "tab", "latin", "85", "a0", "snow", "ls"}
CONTROL = {"cr", "lf", "crlf", "crlf-field", "lf-field", "fold", "fold-tab", "lf-fold", "nul", "01", "0b",
    "0c", "1f", "del"}


def illegal(to):
    """Each odd character, at the start, inside and at the end of each thing that is sent."""
    to.kind = "illegal"
    after = ["request", "GET", "/after", None, []]
    for name, char in BAD_CHARS.items():
        for place, text in (("in", f"a{char}b"), ("start", f"{char}b"), ("end", f"a{char}")):
            label = f"{name}/{place}"
            wide = name in ("snow", "ls")
            method_bad = name in TOKEN | CONTROL
            target_bad = name in CONTROL | {"space", "tab", "latin", "85", "a0", "snow", "ls"}
            value_bad = name in CONTROL or wide
            host_bad = name in CONTROL | {"space", "tab"}
            to.add(f"method/{label}", [["request", text, "/", None, []], after],
                **({"refused": 0} if method_bad else {}))
            to.add(f"target/{label}", [["request", "GET", f"/{text}", None, []], after],
                **({"refused": 0} if target_bad else {}))
            to.add(f"absolute/{label}", [["request", "GET", f"http://{text}/", None, []], after],
                **({"refused": 0} if target_bad else {}))
            to.add(f"name/{label}", [["request", "GET", "/", None, [["X", "1"], [text, "v"]]], after],
                refused=0)
            to.add(f"value/{label}", [["request", "GET", "/", None, [["X", text]]], after],
                **({"refused": 0} if value_bad else {}))
            put = [["putrequest", "GET", "/"], ["putheader", "A", "1"], ["putheader", text, "v"],
                ["putheader", "B", "2"], ["endheaders"]]
            to.add(f"putheader-name/{label}", put, refused=2)
            put = [["putrequest", "GET", "/"], ["putheader", "X", text], ["putheader", "Y", "1", text],
                ["endheaders"]]
            to.add(f"putheader-value/{label}", put, **({"refused": [1, 2]} if value_bad else {}))
            to.add(f"host-field/{label}", [["request", "GET", "/", None, [["Host", text]]], after],
                **({"refused": 0} if value_bad else {}))
            to.add(f"tunnel-host/{label}", [["set_tunnel", f"x{text}.example", 443, None], after],
                **({"refused": 0} if host_bad else {}))
            to.add(f"tunnel-name/{label}", [["set_tunnel", "t.example", 443, [[text, "v"]]], after],
                refused=0)
            to.add(f"tunnel-value/{label}", [["set_tunnel", "t.example", 443, [["X", text]]], after],
                **({"refused": 0} if value_bad else {}))
            if place == "in":
                to.add(f"host/{label}", [after], new=(f"x{text}.example",))
                to.add(f"host-port/{label}", [after], new=(f"x{text}.example", 81))
                to.add(f"value-bytes/{label}",
                    [["putrequest", "GET", "/"], ["putheader", "X", {"b": text if not wide else "x"}],
                    ["endheaders"]],
                       **({"refused": 1} if value_bad and not wide else {}))
                to.add(f"putrequest-method/{label}", [["putrequest", text, "/"], after],
                    **({"refused": 0} if method_bad else {}))
                to.add(f"putrequest-target/{label}", [["putrequest", "GET", f"/{text}"], after],
                    **({"refused": 0} if target_bad else {}))
    to.add("method/empty", [["request", "", "/", None, []], after], refused=0)
    to.add("name/empty", [["request", "GET", "/", None, [["", "v"]]], after], refused=0)
    for char in '()<>@,;\\"/[]?={}':
        to.add(f"method/delimiter-{ord(char):02x}", [["request", f"A{char}B", "/", None, []], after],
            refused=0)
        to.add(f"name/delimiter-{ord(char):02x}",
            [["request", "GET", "/", None, [[f"A{char}B", "v"]]], after], refused=0)


def tunnels(to):
    to.kind = "tunnels"
    inner = ["request", "GET", "/in", None, []]
    hosts = [
        ("dest.example", None), ("dest.example", 443), ("dest.example", 80), ("dest.example:8443", None),
        ("DEST.example", 1), ("[::1]", 443), ("[::1]:443", None), ("::1", 443),
        ("[fe80::1%eth0]:443", None),
        ("b\xfccher.example", 443), ("\u03b4\u03c0\u03b8.gr", None), ("127.0.0.1", 443),
        ("dest.example:", None), ("dest.example:abc", None), ("fa\xdf.de", 443), ("a.example.", 443),
        ("dest.example", 0),
    ]
    for number, (host, port) in enumerate(hosts):
        for scheme in ("http", "https"):
            if scheme == "http":
                to.add(f"host-{number}", [["set_tunnel", host, port, None], inner])
        to.add(f"host-{number}/headers", [["set_tunnel", host, port, [["Proxy-Authorization", "Basic eDp5"],
            ["X", "1"]]], inner])
    for name, pairs in {
        "host": [["Host", "mine"]], "host-lower": [["host", "mine:1"]], "many": [["B", "1"], ["A", "2"]],
        "latin": [["X", "\xe9"]], "int": [["X", 5]], "empty": [["X", ""]], "agent": [["User-Agent", "x"]],
    }.items():
        to.add(f"fields-{name}", [["set_tunnel", "dest.example", 443, pairs], inner])
    plain = [[b"HTTP/1.1 200 OK\r\n\r\n"]]
    # What the proxy answers; the twin has a plain 200.
    replies = {
        "200": b"HTTP/1.1 200 OK\r\n\r\n", "200-reason": b"HTTP/1.1 200 Connection established\r\n\r\n",
        "200-none": b"HTTP/1.1 200\r\n\r\n", "200-10": b"HTTP/1.0 200 OK\r\n\r\n",
        "200-fields": b"HTTP/1.1 200 OK\r\nVia: x\r\nX-A: 1\r\nx-a: 2\r\n\r\n",
        "200-lf": b"HTTP/1.1 200 OK\nVia: x\n\n",
        "200-length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "200-chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "200-close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        "407": b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
        "403": b"HTTP/1.1 403 Forbidden\r\n\r\n",
        "404-length": b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
        "500": b"HTTP/1.1 500 \r\n\r\n", "302": b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
        "407-10": b"HTTP/1.0 407 Auth  me \r\n\r\n", "nothing": b"", "junk": b"junk\r\n\r\n",
        "bad-code": b"HTTP/1.1 abc x\r\n\r\n",
        "code-plus": b"HTTP/1.1 +200 x\r\n\r\n", "version-2": b"HTTP/2 200 OK\r\n\r\n",
        "cut": b"HTTP/1.1 200 OK\r\nVia: x", "cut-status": b"HTTP/1.1 200 OK",
        "cut-line": b"HTTP/1.1 200 OK\r\n", "407-cut": b"HTTP/1.1 407 No\r\nX: 1",
        "field-nocolon": b"HTTP/1.1 200 OK\r\njunk\r\nA: b\r\n\r\n",
        "field-fold": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "field-nul": b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n",
        "field-cr": b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "fields-100": b"HTTP/1.1 200 OK\r\n" + b"".join(b"N%d: v\r\n" % n for n in range(100)) + b"\r\n",
        "fields-101": b"HTTP/1.1 200 OK\r\n" + b"".join(b"N%d: v\r\n" % n for n in range(101)) + b"\r\n",
        "field-long": b"HTTP/1.1 200 OK\r\nA: " + b"v" * 65536 + b"\r\n\r\n",
        "status-long": b"HTTP/1.1 200 " + b"k" * 65536 + b"\r\n\r\n",
    }
    success = {
        "201": b"HTTP/1.1 201 Created\r\n\r\n", "204": b"HTTP/1.1 204 No Content\r\n\r\n",
        "299": b"HTTP/1.1 299 x\r\n\r\n",
        "100-200": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "103-200": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "100-100-200": b"HTTP/1.1 100 x\r\n\r\n" * 2 + b"HTTP/1.1 200 OK\r\n\r\n",
        "200-length-2xx": b"HTTP/1.1 202 x\r\nContent-Length: 3\r\n\r\n",
    }
    refusal = {"100-407": b"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 407 No\r\nX: 1\r\n\r\n",
        "101": b"HTTP/1.1 101 Switching\r\n\r\n",
        "103-403": b"HTTP/1.1 103 x\r\n\r\nHTTP/1.1 403 No\r\n\r\n"}
    calls = [["set_tunnel", "dest.example", 443, None], inner, ["proxy_headers"]]
    for name, reply in replies.items():
        to.add(f"reply-{name}", calls, answers=[[reply]], like=plain)
        to.add(f"reply-{name}/again", [*calls, ["close"], inner], answers=[[reply], plain[0]],
            like=[plain[0], plain[0]])
    for name, reply in success.items():
        to.add(f"reply-{name}", calls[:2], answers=[[reply]], like=plain)
    for name, reply in refusal.items():
        to.add(f"reply-{name}", calls, answers=[[reply]], like=plain)
    to.add("no-tunnel", [inner, ["proxy_headers"]])
    to.add("before", [["proxy_headers"], ["set_tunnel", "dest.example", 443, None], ["proxy_headers"]])
    to.add("twice", [["set_tunnel", "one.example", 1, [["X", "1"]]], ["set_tunnel", "two.example", 2, None],
        inner])
    to.add("connected", [["connect"], ["set_tunnel", "dest.example", 443, None], inner])
    to.add("after-close", [["connect"], ["close"], ["set_tunnel", "dest.example", 443, None], inner],
        answers=[[], plain[0]])
    to.add("absolute", [["set_tunnel", "dest.example", 443, None], ["request", "GET",
        "http://third.example/", None, []]])
    to.add("post", [["set_tunnel", "dest.example", 443, None], ["request", "POST", "/", ["str", "body"],
        []]])
    to.add("connect-first", [["set_tunnel", "dest.example", 443, None], ["connect"], inner])
    to.add("send-first", [["set_tunnel", "dest.example", 443, None], ["send", ["bytes", "raw"]]])
    to.add("headers-not-host", [["set_tunnel", "dest.example", 443, [["X-Host", "h"]]], inner])


def states(to):
    """Calls in an order that the state does not allow."""
    to.kind = "states"
    start, end, get = ["putrequest", "GET", "/"], ["endheaders"], ["getresponse"]
    field = ["putheader", "A", "1"]
    orders = {
        "putheader": [field], "endheaders": [end], "getresponse": [get], "start-start": [start, start],
        "start-request": [start, ["request", "GET", "/", None, []]], "start-get": [start, get],
        "end-end": [start, end, end], "end-field": [start, end, field], "end-start": [start, end, start],
        "end-request": [start, end, ["request", "GET", "/x", None, []]], "whole": [start, field, end, get],
        "get-get": [start, end, get, get], "close-mid": [start, ["close"], end],
        "close-start": [start, end, ["close"], start, end], "close-get": [start, end, ["close"], get],
        "field-after-get": [start, end, get, field],
        "start-close-field": [start, ["close"], field], "connect": [["connect"], start, end],
        "connect-twice": [["connect"], ["close"], ["connect"], start, end], "close": [["close"]],
        "close-twice": [["close"], ["close"]],
        "send": [["send", ["bytes", "x"]]], "send-mid": [start, ["send", ["bytes", "x"]], end],
        "request-get": [["request", "GET", "/", None, []], get],
    }
    for name, calls in orders.items():
        to.add(name, calls, answers=[PLAIN, PLAIN])
    for name, calls in {"request": [["request", "GET", "/", None, []]], "send": [["send", ["bytes", "x"]]],
        "endheaders": [start, end], "connect": [["connect"], start, end]}.items():
        to.add(f"no-auto-open/{name}", calls, auto_open=False)


def requests():
    to = Requests()
    for part in (bodies, headers, targets, tunnels, states):
        part(to)
    wire, to = to.vectors, Requests()
    illegal(to)
    return {"requests": wire, "illegal": to.vectors}
