"""Vectors about responses: bytes in, everything that a user can see out."""

import random
from http.client import HTTPResponse

from .fakes import Socket, exception, pack

# A period of 37 bytes: long runs pack well, and no power of two hides a slip.
BIG = b"the quick brown fox jumps over it 12\n" * 541


def head(*lines, status=b"HTTP/1.1 200 OK"):
    return b"\r\n".join((status, *lines)) + b"\r\n\r\n"


def chunks(*parts, last=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + last


TE = b"Transfer-Encoding: chunked"
OLD = b"HTTP/1.0 200 OK"

# id: (method, bytes). Every one is a whole and well formed exchange.
BASES = {
    "cl-0": ("GET", head(b"Content-Length: 0")),
    "cl-5": ("GET", head(b"Content-Length: 5") + b"hello"),
    "cl-1": ("GET", head(b"Content-Length: 1") + b"x"),
    "cl-lines": ("GET", head(b"Content-Length: 21", b"X-A: 1") + b"one\ntwo\r\n\nthree\nfour\r"),
    "cl-close": ("GET", head(b"Connection: close", b"Content-Length: 9") + b"some text"),
    "cl-post": ("POST", head(b"Content-Length: 4", status=b"HTTP/1.1 201 Created") + b"made"),
    "cl-404": ("GET", head(b"Content-Length: 4", status=b"HTTP/1.1 404 Not Found") + b"gone"),
    "chunked-1": ("GET", head(TE) + chunks(b"hello")),
    "chunked-0": ("GET", head(TE) + b"0\r\n\r\n"),
    "chunked-many": ("GET", head(TE) + chunks(b"a", b"bc", b"def", b"ghij\n", b"k\nl")),
    "chunked-lines": ("GET", head(TE) + chunks(b"one\ntw", b"o\r\n\nth", b"ree\nfour\r")),
    "chunked-ext": (
        "GET",
        head(TE) + b"3;a=b\r\nabc\r\n2;q=\"x y\"\r\nde\r\n0;last\r\n\r\n",
    ),
    "chunked-trailers": ("GET", head(TE) + chunks(b"abc", b"de", last=b"0\r\nX-T: 1\r\nX-U: 2\r\n\r\n")),
    "chunked-hex": ("GET", head(TE) + b"0A\r\n0123456789\r\n00b\r\nabcdefghijk\r\n000\r\n\r\n"),
    "chunked-close": ("GET", head(b"Connection: close", TE) + chunks(b"abc", b"def")),
    "eof-text": ("GET", head() + b"until the end\nof it\n"),
    "eof-empty": ("GET", head()),
    "eof-close": ("GET", head(b"Connection: close", b"X-A: 1") + b"closing"),
    "head-cl": ("HEAD", head(b"Content-Length: 14432")),
    "head-plain": ("HEAD", head()),
    "head-close": ("HEAD", head(b"Connection: close", b"Content-Length: 3")),
    "none-204": ("GET", head(status=b"HTTP/1.1 204 No Content")),
    "none-304": ("GET", head(b"Content-Length: 10", status=b"HTTP/1.1 304 Not Modified")),
    "none-101": ("GET", head(b"Upgrade: x", b"Connection: Upgrade",
    status=b"HTTP/1.1 101 Switching Protocols")),
    "reset-205": ("GET", head(b"Content-Length: 0", status=b"HTTP/1.1 205 Reset Content")),
    "old-eof": ("GET", head(status=OLD) + b"old text"),
    "old-cl": ("GET", head(b"Content-Length: 4", status=OLD) + b"text"),
    "old-keep": ("GET", head(b"Connection: keep-alive", b"Content-Length: 4", status=OLD) + b"text"),
    "old-keep-field": ("GET", head(b"Keep-Alive: timeout=5", b"Content-Length: 4", status=OLD) + b"text"),
    "old-proxy": ("GET", head(b"Proxy-Connection: Keep-Alive", b"Content-Length: 4", status=OLD) + b"text"),
    "old-keep-eof": ("GET", head(b"Connection: keep-alive", status=OLD) + b"text"),
    "interim-100": (
        "POST",
        head(status=b"HTTP/1.1 100 Continue") + head(b"Content-Length: 2") + b"ok",
    ),
    "interim-twice": (
        "POST",
        head(b"X-I: 1", status=b"HTTP/1.1 100 Continue") * 2 + head(TE) + chunks(b"ok"),
    ),
    "fields": (
        "GET",
        head(b"Server: x", b"Set-Cookie: a=1", b"set-cookie: b=2", b"X-Latin: \xe9\xff",
        b"Content-Length: 3")
        + b"abc",
    ),
    "big-cl": ("GET", head(b"Content-Length: 20017") + BIG),
    "big-chunked": ("GET", head(TE) + chunks(*(BIG[i : i + 1000] for i in range(0, 20017, 1000)))),
    "big-eof": ("GET", head() + BIG),
}

SMALL = [name for name in BASES if not name.startswith("big")]


def call(response, name, *args):
    """One call, and its result as JSON."""
    if name == "readinto":
        buffer = bytearray(args[0])
        count = response.readinto(buffer)
        return {"n": count, "b": pack(buffer[:count])}
    if name == "iter":
        return pack(b"".join(list(response)))
    if name == "lines":
        return {"l": [pack(line) for line in response]}
    if name == "getheader":
        return {"v": response.getheader(*args)}
    result = getattr(response, name)(*args)
    if isinstance(result, list):
        return {"l": [pack(line) for line in result]}
    return None if result is None else pack(result)


def play(method, segments, calls):
    """CPython's whole answer to one vector."""
    response = HTTPResponse(Socket([segments]), method=method)
    try:
        response.begin()
    except Exception as error:
        return {"x": exception(error)}
    fields = [[name, pack(value)] for name, value in response.getheaders()]
    answer = {
        "head": [
            response.status,
            pack(response.reason),
            response.version,
            response.will_close,
            response.chunked,
            response.length,
            fields,
        ],
        "out": [],
        "state": "",
    }
    failed = False
    for name, *args in calls:
        try:
            answer["out"].append(call(response, name, *args))
        except Exception as error:
            failed = True
            answer["out"].append(exception(error))
        answer["state"] += str(int(response.isclosed()) + 2 * int(response.closed))
    if not failed:
        answer["left"] = response.length
    return answer


def bytewise(data):
    return [data[i : i + 1] for i in range(len(data))]


def deliveries(rule, data):
    """The ways in which a rule delivers the bytes."""
    if rule == "bytewise":
        return [bytewise(data)]
    return [[data[:i], data[i:]] for i in range(1, len(data))]


def vector(ident, kind, data, calls, method="GET", rules=()):
    """A vector delivered whole. Each rule names other deliveries with the same answer.

    CPython's answer can depend on the delivery (readline(limit) over chunks does).
    Then the rule is left out, and `vectors` below records the other delivery too.
    """
    expect = play(method, [data], calls)
    kept = [rule for rule in rules if all(play(method, s, calls) == expect for s in deliveries(rule, data))]
    result = {"id": ident, "kind": kind, "method": method, "bytes": pack(data), "calls": calls}
    if kept:
        result["rules"] = kept
    result["expect"] = expect
    return result


def vectors(ident, kind, data, calls, method="GET", rules=()):
    """One vector, or two where a delivery byte by byte is answered otherwise."""
    whole = vector(ident, kind, data, calls, method, rules)
    yield whole
    if "bytewise" in rules and "bytewise" not in whole.get("rules", ()):
        other = {**whole, "id": ident + "/bytewise", "delivery": "bytewise"}
        yield {**other, "expect": play(method, bytewise(data), calls)}


# Calls that are repeated until they give nothing, and calls made a few times.
PLANS = {
    "read": [["read"], ["read"]],
    "read-1": [["read", 1]] * 4 + [["read"]],
    "read-3": [["read", 3]] * 9,
    "read-0": [["read", 0], ["read"], ["read", 0]],
    "read-none": [["read", None], ["read", None]],
    "read-5-all": [["read", 5], ["read"], ["read", 5]],
    "read-64": [["read", 64], ["read", 64]],
    "read-minus": [["read", -1], ["read", 1]],
    "readinto-1": [["readinto", 1]] * 4 + [["read"]],
    "readinto-4": [["readinto", 4]] * 7,
    "readinto-64": [["readinto", 64], ["readinto", 64]],
    "readinto-0": [["readinto", 0], ["readinto", 8], ["readinto", 0]],
    "readline": [["readline"]] * 7,
    "readline-minus": [["readline", -1]] * 3 + [["read"]],
    "readline-3": [["readline", 3]] * 12,
    "readline-0": [["readline", 0], ["readline"], ["readline", 0], ["read"]],
    "readlines": [["readlines"], ["readlines"]],
    "readlines-5": [["readlines", 5], ["readlines", 5], ["readlines"]],
    "readlines-4": [["readlines", 4], ["readlines", 1], ["readlines", 6], ["readlines", 0]],
    "readlines-9": [["readlines", 9], ["readlines", -1]],
    "iter": [["iter"], ["read"]],
    "lines": [["lines"], ["readline"]],
    "close": [["close"], ["read"], ["read", 2], ["readline"], ["readinto", 2], ["readlines"]],
    "read-close": [["read", 2], ["close"], ["read"]],
}

# These show how the bytes came, so they are recorded for one whole delivery only.
WHOLE_PLANS = {
    "read1": [["read1"]] * 8,
    "read1-2": [["read1", 2]] * 14,
    "read1-0": [["read1", 0], ["read1", 100], ["read1", 0], ["read"]],
    "read1-minus": [["read1", -1], ["read"]],
    "peek-read": [["peek"], ["read"], ["peek"]],
    "peek-read1": [["peek", 2], ["read1", 2], ["peek", 1], ["read1"], ["peek"]],
    "peek-read-2": [["peek", 1], ["read", 2]] * 4,
    "peek-readline": [["peek"], ["readline"], ["peek"], ["readline", 2]],
    "peek-0": [["peek", 0], ["read", 1], ["peek", 0], ["read"]],
}


def plans():
    for base in SMALL:
        method, data = BASES[base]
        for plan, calls in PLANS.items():
            yield from vectors(f"plan/{base}/{plan}", "plans", data, calls, method, rules=("bytewise",))
        for plan, calls in WHOLE_PLANS.items():
            yield vector(f"plan/{base}/{plan}", "plans", data, calls, method)
    for base in ("big-cl", "big-chunked", "big-eof"):
        method, data = BASES[base]
        for plan in ("read", "readlines-5", "readinto-64", "readline", "read-5-all"):
            yield vector(f"plan/{base}/{plan}", "plans", data, PLANS[plan], method)
        yield vector(f"plan/{base}/large", "plans", data,
            [["read", 9000], ["readinto", 9000], ["read", 9000]], method)


def surplus():
    """Bytes after the end of the body: none of this response's calls may give them."""
    for base in ("cl-0", "cl-5", "cl-lines", "chunked-1", "chunked-trailers", "none-204", "none-304",
        "head-cl", "old-keep"):
        method, data = BASES[base]
        for plan, calls in {**PLANS, **WHOLE_PLANS}.items():
            yield vector(f"surplus/{base}/{plan}", "surplus", data + b"HTTP/1.1 404 X\r\n\r\n", calls,
                method)


def mixes():
    """Random sequences of calls: the same seed, the same vectors."""
    rng = random.Random(20240713)
    sizes = (0, 1, 2, 3, 4, 7, 10, 50)
    for base in SMALL:
        method, data = BASES[base]
        for number in range(14):
            calls = []
            for _ in range(rng.randrange(2, 9)):
                name = rng.choice(("read", "read", "readinto", "readinto", "readline", "readline"))
                if rng.random() < 0.06:
                    calls.append([rng.choice(("read", "readlines", "iter", "lines"))])
                elif name == "readline" and rng.random() < 0.4:
                    calls.append([name])
                else:
                    calls.append([name, rng.choice(sizes)])
            calls.append([rng.choice(("read", "readlines", "iter"))])
            yield from vectors(f"mix/{base}/{number}", "mixes", data, calls, method, rules=("bytewise",))
    for base in SMALL:
        method, data = BASES[base]
        for number in range(4):
            calls = []
            for _ in range(rng.randrange(2, 8)):
                name = rng.choice(("read", "readinto", "readline", "read1", "read1", "peek"))
                calls.append([name, rng.choice(sizes)])
            yield vector(f"mix1/{base}/{number}", "mixes", data, calls + [["read"]], method)


def cuts():
    """Every base, cut in two at every point and byte by byte."""
    for base in SMALL:
        method, data = BASES[base]
        for plan in ("read", "read-3", "readinto-4", "readline"):
            yield from vectors(f"cut/{base}/{plan}", "cuts", data, PLANS[plan], method,
                rules=("bytewise", "cuts"))


def status_lines():
    lines = [
        b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1  200  OK", b"HTTP/1.1\t200\tOK",
        b" HTTP/1.1 200 OK", b"\tHTTP/1.1 200 OK", b"HTTP/1.1 200 OK ", b"HTTP/1.1 200 OK\t ",
        b"HTTP/1.1 200  OK  fine ",
        b"HTTP/1.1 200 OK\x0b", b"HTTP/1.1\x0c200 OK", b"HTTP/1.1\x0b200 OK", b"HTTP/1.1\xa0200 OK",
        b"HTTP/1.1\x85200 OK",
        b"HTTP/1.1 200\xa0OK", b"HTTP/1.1\x1c200 OK", b"HTTP/1.1 200 \xa0OK\xa0",
        b"HTTP/1.1 200 \x1fOK\x1c",
        b"HTTP/1.1 200 d\xe9j\xe0 vu", b"HTTP/1.1 200 \x80\x9f", b"HTTP/1.1 200 O\x00K",
        b"HTTP/1.1 200 O\x01\x7fK",
        b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 OK\r", b"HTTP/1.1 200\r", b"HTTP/1.1 200 \r OK",
        b"HTTP/1.1\r200 OK",
        b"HTTP/1.1 100", b"HTTP/1.1 099 x", b"HTTP/1.1 99 x", b"HTTP/1.1 0 x", b"HTTP/1.1 000 x",
        b"HTTP/1.1 1000 x",
        b"HTTP/1.1 999 x", b"HTTP/1.1 599 x", b"HTTP/1.1 600 x", b"HTTP/1.1 150 x", b"HTTP/1.1 199 x",
        b"HTTP/1.1 +200 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 -200 OK", b"HTTP/1.1 2_0_0 OK",
        b"HTTP/1.1 20_0 OK",
        b"HTTP/1.1 0200 OK", b"HTTP/1.1 00200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2 OK", b"HTTP/1.1 2e2 OK",
        b"HTTP/1.1 200. OK", b"HTTP/1.1 200.0 OK", b"HTTP/1.1 0x200 OK", b"HTTP/1.1 0xc8 OK",
        b"HTTP/1.1 \xb2\xb2\xb2 OK",
        b"HTTP/1.1 200OK", b"HTTP/1.1 OK", b"HTTP/1.1 OK 200", b"HTTP/1.1 200\x00 OK", b"HTTP/1.1 ",
        b"HTTP/1.1",
        b"HTTP/1.1 4294967496 x", b"HTTP/1.1 2 0 0", b"HTTP/1.1200 OK",
        b"HTTP/1.0 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.2 200 OK", b"HTTP/1.9 200 OK", b"HTTP/1.10 200 OK",
        b"HTTP/1. 200 OK", b"HTTP/1.x 200 OK", b"HTTP/1.1.1 200 OK", b"HTTP/1 200 OK", b"HTTP/1.1x 200 OK",
        b"HTTP/1.00 200 OK", b"HTTP/01.1 200 OK", b"HTTP/1.1\x00 200 OK", b"HTTP/1.-1 200 OK",
        b"HTTP/1,1 200 OK",
        b"HTTP/2 200", b"HTTP/2.0 200 OK", b"HTTP/3 200 OK", b"HTTP/ 200 OK", b"HTTP/0.8 200 OK",
        b"HTTP/11 200 OK",
        b"HTTP/-1.1 200 OK", b"HTTP/1.\xb9 200 OK", b"HTTP/ONE 200 OK",
        b"http/1.1 200 OK", b"Http/1.1 200 OK", b"HTTP 1.1 200 OK", b"HTTPS/1.1 200 OK",
        b"HTTP\\1.1 200 OK", b"HTP/1.1 200 OK",
        b"ICY 200 OK", b"SSH-2.0-OpenSSH_9.6", b"220 smtp ready", b"<html>", b"", b" ", b"\t", b"\x00",
        b"\xff\xfe",
        b"HTTP", b"HTTP/", b"200 OK", b"GET / HTTP/1.1", b"\x00HTTP/1.1 200 OK",
        b"\xef\xbb\xbfHTTP/1.1 200 OK",
        b"0\r\n\r\nHTTP/1.1 200 OK", b"\r\nHTTP/1.1 200 OK",
    ]
    for number, line in enumerate(lines):
        data = line + b"\r\nContent-Length: 2\r\n\r\nok"
        yield from vectors(f"status/{number}", "status-lines", data, [["read"]], rules=("bytewise", "cuts"))
    for number, line in enumerate((b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.0 204 x", b"junk",
        b"HTTP/1.1 x")):
        data = line + b"\nContent-Length: 2\n\nok"
        yield from vectors(f"status-lf/{number}", "status-lines", data, [["read"]],
            rules=("bytewise", "cuts"))
    for size in (1000, 65519, 65520, 65521, 65536, 70000):
        data = b"HTTP/1.1 200 OK" + b"k" * size + b"\r\n\r\n"
        yield vector(f"status-long/{size}", "status-lines", data, [["read"]])
    for size in (65534, 65535, 65536, 65537):
        yield vector(f"status-long-junk/{size}", "status-lines", b"k" * size + b"\r\n\r\n", [["read"]])
        yield vector(f"status-long-eof/{size}", "status-lines", b"k" * size, [["read"]])
    for end in (b"", b"\r", b"\n", b"\r\n", b"\r\n\r", b"\n\n", b"\r\r\n\r\n"):
        name = end.hex() or "nothing"
        yield from vectors(f"status-end/{name}", "status-lines", b"HTTP/1.1 200 OK" + end, [["read"]],
            rules=("bytewise",))
    yield vector("status-none", "status-lines", b"", [["read"]])


def field_lines():
    cases = {
        "plain": b"A: b", "no-blank": b"A:b", "blanks": b"A:   b", "tab": b"A:\tb", "tabs": b"A:\t \tb",
        "empty": b"A:",
        "empty-blank": b"A: ", "empty-blanks": b"A: \t ", "trailing": b"A: b  ", "trailing-tab": b"A: b\t",
        "inner": b"A: b  c\td",
        "colon": b"A: b: c", "colons": b"A::b", "case": b"x-MiXeD-cAsE: Value", "latin": b"A: \xe9\xff\x80",
        "latin-85": b"A: a\x85b",
        "latin-a0": b"A: \xa0b\xa0", "octets": b"A: " + bytes(range(0x21, 0x7F)),
        "obs-text": b"A: " + bytes(range(0x80, 0x100)),
        "token": b"!#$%&'*+-.^_`|~09azAZ: v", "utf8": "A: żółw".encode(), "ctl-01": b"A: a\x01b",
        "ctl-0b": b"A: a\x0bb",
        "ctl-0c": b"A: a\x0cb", "ctl-1c": b"A: a\x1cb", "ctl-1f": b"A: a\x1fb", "ctl-7f": b"A: a\x7fb",
        "vt-start": b"A: \x0bb",
        "vt-end": b"A: b\x0b", "proto": b"__proto__: x", "constructor": b"constructor: x",
        "tostring": b"toString: x",
        "nocolon": b"nothing", "nocolon-blank": b"no thing", "noname": b": value",
        "noname-noblank": b":value", "colon-only": b":",
        "before": b"A : b", "before-tab": b"A\t: b", "before-many": b"A  : b", "inner-blank": b"A B: c",
        "from": b"From x: y",
        "from-colon": b"From : y", "from-field": b"From: y", "name-latin": b"\xe9: b",
        "name-latin-end": b"A\xe9: b",
        "name-paren": b"A(b): c", "name-slash": b"A/b: c", "name-quote": b'"A": c', "name-at": b"a@b: c",
        "name-brace": b"{a}: c",
        "name-comma": b"a,b: c", "name-semi": b"a;b: c", "name-eq": b"a=b: c", "name-lt": b"<a>: c",
        "name-sq": b"[a]: c", "name-q": b"a?: c",
        "name-bslash": b"a\\: c", "name-7f": b"a\x7f: c", "name-01": b"a\x01: c", "name-nul": b"a\x00: c",
        "name-0b": b"a\x0b: c",
        "fold": b"A: b\r\n c", "fold-tab": b"A: b\r\n\tc", "fold-many": b"A: b\r\n  \t c\r\n d",
        "fold-trailing": b"A: b  \r\n  c ",
        "fold-empty": b"A: b\r\n ", "fold-empty-then": b"A: b\r\n \r\n c", "fold-first": b" A: b",
        "fold-first-tab": b"\tA: b",
        "fold-no-value": b"A:\r\n b", "fold-no-value-blank": b"A: \r\n b", "fold-after-bad": b"bad\r\n c",
        "fold-after-noname": b": v\r\n c",
        "fold-after-before": b"A : b\r\n c", "fold-colon": b"A: b\r\n C: d",
        "fold-latin": b"A: \xe9\r\n \xe8",
        "nul": b"A: b\x00c", "nul-start": b"A: \x00", "nul-end": b"A: b\x00", "cr": b"A: b\rc",
        "cr-start": b"A: \rb", "cr-end": b"A: b\r",
        "cr-field": b"A: b\rC: d", "cr-name": b"A\rB: c", "cr-fold": b"A: b\r c", "cr-blank": b"A: b\r\r",
        "cr-alone": b"\r", "cr-first": b"\rA: b",
        "fold-nul": b"A: b\r\n \x00", "fold-cr": b"A: b\r\n c\rd",
        "lf": b"A: b\nC: d", "lf-fold": b"A: b\n c", "dup": b"A: 1\r\na: 2\r\nA: 3",
        "dup-same": b"A: 1\r\nA: 1",
        "cookies": b"Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2, c=3",
    }
    for name, lines in cases.items():
        for place, data in (
            ("only", lines + b"\r\n"),
            ("first", lines + b"\r\nX-After: 1\r\n"),
            ("last", b"X-Before: 1\r\n" + lines + b"\r\n"),
            ("middle", b"X-Before: 1\r\n" + lines + b"\r\nContent-Length: 2\r\n"),
        ):
            data = b"HTTP/1.1 200 OK\r\n" + data + b"\r\nok"
            yield from vectors(f"field/{name}/{place}", "field-lines", data, [["read"]],
                rules=("bytewise", "cuts"))
    for count in (0, 1, 50, 98, 99, 100, 101, 150):
        data = head(*(b"N%d: v" % n for n in range(count))) + b"ok"
        yield vector(f"field-count/{count}", "field-lines", data, [["read"]])
        folded = b"A: b\r\n" + b" c\r\n" * (count - 1 if count else 0)
        yield vector(f"field-fold-count/{count}", "field-lines",
            b"HTTP/1.1 200 OK\r\n" + folded + b"\r\nok", [["read"]])
    for size in (1000, 65528, 65529, 65530, 65531, 65532, 65533, 65534, 70000):
        data = b"HTTP/1.1 200 OK\r\nABC: " + b"v" * size + b"\r\n\r\nok"
        yield vector(f"field-long/{size}", "field-lines", data, [["read"]])
    for size in (65530, 65531, 65532, 65533):
        data = b"HTTP/1.1 200 OK\r\nABC: " + b"v" * size + b"\n\nok"
        yield vector(f"field-long-lf/{size}", "field-lines", data, [["read"]])
    for name in ("Content-Type", "X", "content-length", "X-None", "a"):
        data = head(b"Content-Type: text/plain", b"X: 1", b"x: 2, 3", b"Content-Length: 0", b"A:", b"a:")
        calls = [["getheader", name], ["getheader", name, "else"], ["getheader", name.upper()],
            ["getheader", name, 42],
                 ["getheader", name, ["a", "b"]]]
        yield vector(f"getheader/{name}", "field-lines", data, calls)


READS = [["read"], ["read"]]


def content_length():
    values = [
        b"2", b"02", b"002", b"0", b"00", b" 2", b"2 ", b"2\t", b"\t2", b"+2", b"-2", b"-0", b"+0", b"2_0",
        b"2.0", b"2e0", b"0x2", b"0b1", b"0o2",
        b"2a", b"a2", b"a", b"", b" ", b"2,2", b"2, 2", b"2,3", b"2 2", b"2;2", b"2,", b",2", b"2,,2",
        b"\x002", b"2\x00", b"\xb2", b"2\xa0", b"\xa02", b"2\x0b",
        b"2\x0c", b"\x1c2", b"\x852", b"9007199254740991", b"9007199254740992", b"9223372036854775807",
        b"18446744073709551618",
        b"99999999999999999999999999", b"1" * 4301, b"0" * 400 + b"2", b"0" * 5000 + b"2", b'"2"', b"--2",
        b"2-", b"none", b"Infinity", b"NaN", b"null",
        b"2\r\n ", b"\r\n 2", b"2\r\n 0",
    ]
    for number, value in enumerate(values):
        data = b"HTTP/1.1 200 OK\r\nContent-Length: " + value + b"\r\n\r\nokay"
        yield vector(f"length/{number}", "content-length", data, READS)
        yield vector(f"length-sized/{number}", "content-length", data, [["read", 3], ["read", 3], ["read"]])
    cases = {
        "same": (b"Content-Length: 2", b"Content-Length: 2"),
        "same-case": (b"Content-Length: 2", b"content-length: 2"),
        "differ": (b"Content-Length: 2", b"Content-Length: 3"),
        "differ-back": (b"Content-Length: 3", b"Content-Length: 2"),
        "same-zero": (b"Content-Length: 2", b"Content-Length: 02"),
        "bad-second": (b"Content-Length: 2", b"Content-Length: x"),
        "bad-first": (b"Content-Length: x", b"Content-Length: 2"),
        "list-then": (b"Content-Length: 2, 2", b"Content-Length: 2"),
        "three": (b"Content-Length: 2",) * 3, "empty-second": (b"Content-Length: 2", b"Content-Length:"),
        "before": (b"Content-Length : 2",), "before-both": (b"Content-Length: 3", b"Content-Length : 2"),
        "name-tab": (b"Content-Length\t: 2",), "nocolon": (b"Content-Length 2",),
        "name-nul": (b"Content-Length\x00: 2",),
        "under": (b"Content_Length: 2",), "prefix": (b"X-Content-Length: 2",),
        "leading": (b"A: b", b" Content-Length: 2"),
        "name-vt": (b"Content-Length\x0b: 2",), "name-front-vt": (b"\x0bContent-Length: 2",),
        "fold-name": (b"Content-Length:", b" 2"),
    }
    for name, lines in cases.items():
        yield vector(f"length-lines/{name}", "content-length", head(*lines) + b"okay", READS)
    for status, method in ((204, "GET"), (304, "GET"), (200, "HEAD"), (200, "CONNECT"), (205, "GET"),
        (101, "GET")):
        for value in (b"4", b"x", b"-1", b"4, 5"):
            data = head(b"Content-Length: " + value, status=b"HTTP/1.1 %d x" % status) + b"okay"
            yield vector(f"length-none/{status}-{method}-{value.decode()}", "content-length", data, READS,
                method)


def transfer_encoding():
    values = [
        b"chunked", b"Chunked", b"CHUNKED", b"chunked ", b"chunked\t", b" chunked", b"chunked,",
        b",chunked", b", chunked", b"chunked, chunked",
        b"gzip, chunked", b"gzip,chunked", b"chunked, gzip", b"chunked, identity", b"identity, chunked",
        b"identity", b"gzip", b"deflate", b"x",
        b"", b" ", b"chunked;q=1", b"chunked; a=b", b'"chunked"', b"xchunked", b"chunkedx", b"chunk",
        b"chun ked", b"\x0bchunked", b"chunked\x0b",
        b"chunked\x0c", b"chunked\x00", b"\xa0chunked", b"chunked\xa0", b"chunked\x85", b"'chunked'",
        b"chunked\r\n ", b"\r\n chunked", b"chunked\r\n , x",
    ]
    body = b"2\r\nok\r\n0\r\n\r\n"
    for number, value in enumerate(values):
        for version in (b"HTTP/1.1", b"HTTP/1.0"):
            data = version + b" 200 OK\r\nTransfer-Encoding: " + value + b"\r\n\r\n" + body
            yield vector(f"coding/{version.decode()[5:]}/{number}", "transfer-encoding", data, READS)
    cases = {
        "twice": (TE, TE), "gzip-chunked": (b"Transfer-Encoding: gzip", TE),
        "chunked-gzip": (TE, b"Transfer-Encoding: gzip"),
        "identity-chunked": (b"Transfer-Encoding: identity", TE),
        "empty-chunked": (b"Transfer-Encoding:", TE), "chunked-empty": (TE, b"Transfer-Encoding:"),
        "length": (TE, b"Content-Length: 5"), "length-first": (b"Content-Length: 5", TE),
        "length-bad": (TE, b"Content-Length: x"),
        "length-empty": (TE, b"Content-Length:"),
        "length-twice": (TE, b"Content-Length: 5", b"Content-Length: 6"),
        "length-0": (TE, b"Content-Length: 0"),
        "before": (b"Transfer-Encoding : chunked",),
        "before-length": (b"Transfer-Encoding : chunked", b"Content-Length: 2"),
        "nocolon": (b"Transfer-Encoding chunked",), "name-vt": (b"Transfer-Encoding\x0b: chunked",),
        "under": (b"Transfer_Encoding: chunked",),
        "case": (b"TRANSFER-ENCODING: chunked",), "nul-name": (b"Transfer\x00-Encoding: chunked",),
        "te": (b"TE: chunked",),
        "keep": (TE, b"Connection: keep-alive"), "close": (TE, b"Connection: close"),
        "leading": (b"A: b", b" Transfer-Encoding: chunked"),
        "identity-length": (b"Transfer-Encoding: identity", b"Content-Length: 5"),
        "length-close": (TE, b"Content-Length: 5", b"Connection: close"),
        "length-keep": (TE, b"Content-Length: 5", b"Connection: keep-alive"),
    }
    for name, lines in cases.items():
        for status in (b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK"):
            version = status[5:8].decode()
            yield vector(f"coding-lines/{version}/{name}", "transfer-encoding",
                head(*lines, status=status) + body, READS)
    for status, method in ((204, "GET"), (304, "GET"), (200, "HEAD"), (404, "HEAD"), (200, "CONNECT"),
        (299, "CONNECT"), (407, "CONNECT"), (101, "GET"), (205, "GET")):
        for name, lines in {"chunked": (TE,), "gzip": (b"Transfer-Encoding: gzip",),
            "both": (TE, b"Content-Length: 3"), "none": ()}.items():
            data = head(*lines, status=b"HTTP/1.1 %d x" % status) + body
            yield vector(f"coding-none/{status}-{method}-{name}", "transfer-encoding", data, READS, method)
            yield vector(f"coding-none-sized/{status}-{method}-{name}", "transfer-encoding", data,
                [["read", 1], ["readinto", 4], ["readline"]], method)


def chunk_framing():
    sizes = [
        b"2", b"02", b"0002", b"2 ", b"2\t", b"2 \t ", b" 2", b"\t2", b"+2", b"-2", b"-0", b"0x2", b"0X2",
        b"2_", b"0_2", b"_2", b"2h", b"2L", b"2.", b"2,", b"g", b"",
        b" ", b"2;", b"2;a", b"2;a=b", b'2;a="b"', b'2;a="b;c"', b"2 ;a=b", b"2\t;a", b"2;;;", b"2;a=\xe9",
        b"2;\x00", b"2;a\rb", b"2; a = b ", b";a", b"2 a", b"2a b",
        b"\xb2", b"2\xa0", b"2\x0b", b"2\x0c;a", b"\x002", b"2\x00", b"2\r", b"\r2", b"0o2", b"0b10",
        b"ffffffffffffffff", b"1fffffffffffff", b"20000000000000",
        b"fffffffffffffffff2", b"0" * 20 + b"2", b"0" * 400 + b"2", b"0" * 65530 + b"2", b"2 2", b"2\x1c",
        b"--2", b"2-",
    ]
    for number, size in enumerate(sizes):
        data = head(TE) + size + b"\r\nok\r\n0\r\n\r\n"
        yield vector(f"chunk-size/{number}", "chunk-framing", data, READS)
        yield vector(f"chunk-size-sized/{number}", "chunk-framing", data,
            [["read", 1], ["readinto", 1], ["readline"], ["read"]])
        second = head(TE) + b"3\r\nabc\r\n" + size + b"\r\nok\r\n0\r\n\r\n"
        yield vector(f"chunk-size-second/{number}", "chunk-framing", second, READS)
        yield vector(f"chunk-size-second-sized/{number}", "chunk-framing", second,
            [["read", 2], ["readinto", 64], ["read"]])
    bodies = {
        "lf-size": b"2\nok\r\n0\r\n\r\n", "lf-data": b"2\r\nok\n0\r\n\r\n", "lf-all": b"2\nok\n0\n\n",
        "lf-last": b"2\r\nok\r\n0\n\r\n",
        "lf-end": b"2\r\nok\r\n0\r\n\n", "lf-trailer": b"2\r\nok\r\n0\r\nX: 1\n\r\n",
        "lf-trailer-end": b"2\r\nok\r\n0\r\nX: 1\r\n\n", "lf-ext": b"2;a\nok\r\n0\r\n\r\n",
        "data-x": b"2\r\nokXX0\r\n\r\n", "data-long": b"2\r\nokay\r\n0\r\n\r\n",
        "data-short": b"4\r\nok\r\n0\r\n\r\n", "data-cr": b"2\r\nok\r0\r\n\r\n",
        "data-crx": b"2\r\nok\rX0\r\n\r\n",
        "data-none": b"2\r\nok0\r\n\r\n", "data-lfcr": b"2\r\nok\n\r0\r\n\r\n",
        "data-blank": b"2\r\nok \r\n0\r\n\r\n",
        "blank-line": b"2\r\nok\r\n\r\n0\r\n\r\n", "blank-first": b"\r\n2\r\nok\r\n0\r\n\r\n",
        "zero-many": b"2\r\nok\r\n00000\r\n\r\n", "zero-ext": b"2\r\nok\r\n0;a=b\r\n\r\n",
        "zero-blank": b"2\r\nok\r\n0 \r\n\r\n", "zero-front": b"2\r\nok\r\n 0\r\n\r\n",
        "zero-minus": b"2\r\nok\r\n-0\r\n\r\n", "zero-hex": b"2\r\nok\r\n0x0\r\n\r\n",
        "zero-plus": b"2\r\nok\r\n+0\r\n\r\n",
        "trailer": b"2\r\nok\r\n0\r\nX: 1\r\n\r\n", "trailer-dup": b"2\r\nok\r\n0\r\nX: 1\r\nx: 2\r\n\r\n",
        "trailer-nocolon": b"2\r\nok\r\n0\r\njunk\r\n\r\n",
        "trailer-fold": b"2\r\nok\r\n0\r\nX: 1\r\n 2\r\n\r\n",
        "trailer-noname": b"2\r\nok\r\n0\r\n: 1\r\n\r\n",
        "trailer-before": b"2\r\nok\r\n0\r\nX : 1\r\n\r\n",
        "trailer-nul": b"2\r\nok\r\n0\r\nX: \x00\r\n\r\n", "trailer-cr": b"2\r\nok\r\n0\r\nX: a\rb\r\n\r\n",
        "trailer-length": b"2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n",
        "trailer-coding": b"2\r\nok\r\n0\r\nTransfer-Encoding: x\r\n\r\n",
        "trailer-first-fold": b"2\r\nok\r\n0\r\n X: 1\r\n\r\n",
        "trailer-latin": b"2\r\nok\r\n0\r\nX: \xe9\r\n\r\n",
        "trailer-coding-before": b"2\r\nok\r\n0\r\nTransfer-Encoding : x\r\n\r\n",
        "extra": b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "nothing": b"", "crlf": b"\r\n",
        "raw": b"just text", "raw-hex": b"add\r\n",
        "ext-crlf": b'2;a="b\r\nc"\r\nok\r\n0\r\n\r\n',
    }
    for name, body in bodies.items():
        for plan in ("read", "read-3", "readinto-4", "readline", "readlines", "iter"):
            yield from vectors(f"chunk-body/{name}/{plan}", "chunk-framing", head(TE) + body, PLANS[plan],
                rules=("bytewise",))
        for plan in ("read1", "peek-read1"):
            yield vector(f"chunk-body/{name}/{plan}", "chunk-framing", head(TE) + body, WHOLE_PLANS[plan])
    for count in (1, 99, 100, 101, 102, 300):
        trailers = b"".join(b"T%d: v\r\n" % n for n in range(count))
        data = head(TE) + b"2\r\nok\r\n0\r\n" + trailers + b"\r\n"
        yield vector(f"trailer-count/{count}", "chunk-framing", data, READS)
        yield vector(f"trailer-count-sized/{count}", "chunk-framing", data,
            [["read", 2], ["read", 2], ["read", 2]])
    for size in (1000, 65532, 65533, 65534, 65535, 65536, 70000):
        yield vector(f"chunk-long-ext/{size}", "chunk-framing",
            head(TE) + b"2;" + b"e" * size + b"\r\nok\r\n0\r\n\r\n", READS)
        yield vector(f"trailer-long/{size}", "chunk-framing",
            head(TE) + b"2\r\nok\r\n0\r\n" + b"T" * (size - 2) + b":v\r\n\r\n", READS)
        yield vector(f"chunk-long-zeros/{size}", "chunk-framing",
            head(TE) + b"0" * size + b"2\r\nok\r\n0\r\n\r\n", READS)


def interim():
    final = head(b"Content-Length: 2") + b"ok"
    for code in (100, 101, 102, 103, 104, 150, 199):
        status = b"HTTP/1.1 %d Wait" % code
        yield from vectors(f"interim/{code}", "interim", head(status=status) + final, READS,
            rules=("bytewise", "cuts"))
        yield from vectors(f"interim-fields/{code}", "interim",
            head(b"Link: </a>", b"X: 1", status=status) + final, READS, rules=("bytewise",))
        yield vector(f"interim-length/{code}", "interim", head(b"Content-Length: 3", status=status) + final,
            READS)
        yield vector(f"interim-chunked/{code}", "interim", head(TE, status=status) + final, READS)
        yield vector(f"interim-old/{code}", "interim", head(status=b"HTTP/1.0 %d Wait" % code) + final,
            READS)
        yield vector(f"interim-two/{code}", "interim", head(status=b"HTTP/1.1 %d Wait" % code) * 2 + final,
            READS)
        yield vector(f"interim-eof/{code}", "interim", head(status=status), READS)
        yield vector(f"interim-head/{code}", "interim", head(status=status) + head(b"Content-Length: 2"),
            READS, "HEAD")
        yield vector(f"interim-lf/{code}", "interim", head(status=status).replace(b"\r\n", b"\n") + final,
            READS)
        yield vector(f"interim-nocolon/{code}", "interim", head(b"junk", b"A: b", status=status) + final,
            READS)
        yield vector(f"interim-cr/{code}", "interim", head(b"A: b\rc", status=status) + final, READS)
    for count in (5, 99, 100, 101, 150):
        yield vector(f"interim-count/{count}", "interim",
            head(status=b"HTTP/1.1 100 Continue") * count + final, READS)
        yield vector(f"interim-count-103/{count}", "interim",
            head(status=b"HTTP/1.1 103 Early Hints") * count + final, READS)
    for count in (99, 100, 101, 102):
        many = head(*(b"N%d: v" % n for n in range(count)), status=b"HTTP/1.1 100 Continue")
        yield vector(f"interim-fields-count/{count}", "interim", many + final, READS)
    for name, lines in {"cut": b"HTTP/1.1 100 Continue\r\nX: 1", "status": b"HTTP/1.1 100 Continue\r\n",
        "line": b"HTTP/1.1 100 Con",
                        "then-cut": head(status=b"HTTP/1.1 100 Continue") + b"HTTP/1.1 20",
                        "then-junk": head(status=b"HTTP/1.1 100 x") + b"junk\r\n\r\n",
                        "then-two": head(status=b"HTTP/1.1 100 x") + b"HTTP/2 200 OK\r\n\r\n",
                        "endless": b"HTTP/1.1 100 x\r\n" + b"r\n" * 300,
                        "mixed": head(status=b"HTTP/1.1 103 x") + head(status=b"HTTP/1.1 100 x") + head(status=b"HTTP/1.1 102 x") + final,
                        "version": head(status=b"HTTP/2 100 Continue") + final,
                        "long": b"HTTP/1.1 100 x\r\nA: " + b"v" * 65536 + b"\r\n\r\n" + final}.items():
        yield vector(f"interim-odd/{name}", "interim", lines, READS)


def versions():
    """Who closes: HTTP/1.0, HTTP/1.1 and every Connection field."""
    fields = {
        "none": (), "close": (b"Connection: close",), "CLOSE": (b"Connection: CLOSE",),
        "keep": (b"Connection: keep-alive",), "Keep": (b"Connection: Keep-Alive",),
        "keep-close": (b"Connection: keep-alive, close",),
        "close-keep": (b"Connection: close, keep-alive",),
        "two-close": (b"Connection: x", b"Connection: close"),
        "two-keep-close": (b"Connection: keep-alive", b"Connection: close"),
        "two-close-keep": (b"Connection: close", b"Connection: keep-alive"),
        "two-keep": (b"Connection: x", b"Connection: keep-alive"), "closed": (b"Connection: closed",),
        "enclose": (b"Connection: enclose",), "not-keep": (b"Connection: no-keep-alive",),
        "empty": (b"Connection:",), "upgrade": (b"Connection: upgrade",),
        "upgrade-close": (b"Connection: upgrade, close",), "tab": (b"Connection: \tclose\t",),
        "commas": (b"Connection: ,close,",), "semi": (b"Connection: close;x",),
        "field": (b"Keep-Alive: timeout=5",), "field-empty": (b"Keep-Alive:",),
        "field-close": (b"Keep-Alive: 5", b"Connection: close"),
        "proxy": (b"Proxy-Connection: keep-alive",), "proxy-close": (b"Proxy-Connection: close",),
        "proxy-both": (b"Proxy-Connection: keep-alive", b"Connection: close"),
        "fold": (b"Connection: x,", b" close"), "keep-fold": (b"Connection: keep-", b" alive"),
        "before": (b"Connection : close",), "blank": (b"Connection: clo se",),
        "quoted": (b'Connection: "close"',),
    }
    for version in (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.2"):
        for name, lines in fields.items():
            status = version + b" 200 OK"
            label = f"{version.decode()[5:]}/{name}"
            yield vector(f"reuse/{label}/length", "versions",
                head(*lines, b"Content-Length: 2", status=status) + b"ok", [["read"]])
            yield vector(f"reuse/{label}/eof", "versions", head(*lines, status=status) + b"ok", [["read"]])
            yield vector(f"reuse/{label}/chunked", "versions",
                head(*lines, TE, status=status) + b"2\r\nok\r\n0\r\n\r\n", [["read"]])
        for method, code in (("HEAD", 200), ("GET", 204), ("GET", 304), ("CONNECT", 200)):
            yield vector(f"reuse/{version.decode()[5:]}/{method}-{code}", "versions",
                head(status=version + b" %d x" % code), [["read"]], method)


TRUNCATED = {
    "read": None,
    "read-3": ["cl-lines", "chunked-many", "chunked-trailers", "eof-text", "cl-5", "old-cl", "chunked-ext",
    "interim-100"],
    "readinto-4": ["cl-lines", "chunked-many", "chunked-trailers", "eof-text", "chunked-hex"],
    "readline": ["cl-lines", "chunked-lines", "eof-text"],
    "readlines": ["cl-lines", "chunked-lines", "eof-text"],
    "iter": ["cl-lines", "chunked-lines"],
    "read-64": ["cl-5", "chunked-many", "old-cl"],
    "readinto-64": ["cl-5", "chunked-many"],
    "read1": ["cl-lines", "chunked-many"],
    "peek-read1": ["cl-5", "chunked-1"],
    "readline-3": ["chunked-lines"],
    "read-5-all": ["cl-lines", "chunked-many", "eof-text"],
    "close": ["cl-5", "chunked-1"],
}


def truncations():
    """Every base cut off at every byte; one line each. "same": the head is the whole base's."""
    every = {**PLANS, **WHOLE_PLANS}
    for plan, bases in TRUNCATED.items():
        calls = every[plan]
        for base in bases or SMALL:
            method, data = BASES[base]
            whole = play(method, [data], calls)["head"]
            lines = []
            same = plan not in WHOLE_PLANS
            for count in range(len(data)):
                answer = play(method, [data[:count]], calls)
                same = same and play(method, bytewise(data[:count]), calls) == answer
                if answer.get("head") == whole:
                    answer["head"] = "same"
                lines.append([count, answer])
            yield {
                "id": f"truncated/{base}/{plan}", "kind": "truncations", "method": method,
                "bytes": pack(data), "calls": calls,
                **({"rules": ["bytewise"]} if same else {}), "head": whole, "cut": lines,
            }


def responses():
    """Every file about responses, by name."""
    return {
        "reads": [*plans(), *surplus()],
        "mixes": [*mixes(), *cuts()],
        "heads": [*status_lines(), *field_lines(), *interim()],
        "framing": [*content_length(), *transfer_encoding(), *chunk_framing(), *versions()],
        "truncations": [*truncations()],
    }
