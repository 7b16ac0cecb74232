"""Vectors about HTTPMessage, host and port, and the status codes."""

import http
import io
from http import client

from .fakes import exception, pack


def plain(value):
    """A result as JSON: a tuple becomes {"t": [...]}, so that it is no list."""
    if isinstance(value, tuple):
        return {"t": [plain(one) for one in value]}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def perform(message, name, args):
    if name == "append":
        message[args[0]] = args[1]
        return None
    if name == "delete":
        del message[args[0]]
        return None
    if name == "has":
        return args[0] in message
    if name == "item":
        return message[args[0]]
    if name == "size":
        return len(message)
    if name == "add_header":
        field, value, *params = args
        pairs = dict(params[0]) if params else {}
        message.add_header(field, value, **{key: tuple(v["t"]) if isinstance(v, dict) else v for key,
            v in pairs.items()})
        return None
    result = getattr(message, name)(*args)
    if name == "as_bytes":
        return result.decode("latin-1")
    return [*result] if name == "raw_items" else result


def vector(ident, lines, calls):
    raw = lines.encode("latin-1")
    message = client.parse_headers(io.BytesIO(raw + b"\r\n"))
    out = []
    for name, *args in calls:
        try:
            out.append(plain(perform(message, name, args)))
        except Exception as error:
            out.append(exception(error))
    return {"id": f"message/{ident}", "kind": "messages", "raw": pack(lines), "calls": calls, "expect": out}


LOOK_UP = "A: 1\r\nContent-Type: text/html; charset=UTF-8\r\na: 2\r\nX-Empty:\r\nSet-Cookie: x=1\r\nSET-COOKIE: y=2\r\n"

CONTENT_TYPES = [
    "text/html", "text/html; charset=utf-8", "TEXT/HTML; Charset=UTF-8", 'text/html; charset="utf-8"',
    "text/html;charset=utf-8", "text/html ;charset = utf-8", "text/html; charset=", "text/html; charset",
    "text/html;",
    "text/html;;charset=a", "text", "text/", "/html", "/", "text/html/x", "", "; charset=utf-8",
    "text/html; charset=utf-8; charset=latin-1", "text/html; charset='utf-8'",
    'text/html; charset="ut\\"f"',
    "application/json", "application/json; charset=utf-8", "image/svg+xml",
    "text/plain; format=flowed; delsp=yes", 'multipart/form-data; boundary="a;b c"',
    "multipart/form-data; boundary=----x", "multipart/mixed; boundary=abc  ",
    'text/plain; x="a\\\\b"', 'text/plain; x="a;b=c"; y=2', 'text/plain; x="unclosed; y=2',
    'text/plain; x=a"b"; y=2', "text/plain; x=<angle>; y=1", 'text/plain; x="<a>"', "text/plain; X=1; x=2",
    "text/plain; a=1; b; c=3",
    "text/plain; =novalue", "text/plain; x==y", "text/plain; x=a=b", 'text/plain; "x"=1',
    "text/plain; charset*=utf-8''utf-8", "text/plain; charset*=us-ascii'en'l%61tin-1",
    "text/html; charset=\xfctf", "text html", " text/html ; charset=x ",
    "text/html, text/plain; charset=x", "text/html; charset=utf-8, x", "text/\xe9",
    "text/html; charset*0=ut; charset*1=f-8", "text/plain; charset*=''x", "text/plain; charset*=bad",
    "text/plain; charset*=utf-8'x", "text/plain; charset*='",
    "text/plain; charset*=no-such-charset''caf%E9", "text/plain; charset*=utf-8''%ff",
    "text/plain; charset*=utf-8''%zz%4", "text/plain; charset*=iso-8859-1''%e9",
]

DISPOSITIONS = [
    "attachment", "attachment; filename=a.txt", 'attachment; filename="a b.txt"',
    'attachment; filename="a\\"b.txt"', 'attachment; filename="a;b.txt"; size=3',
    "attachment; FileName=X.TXT", "inline; filename=", 'inline; filename=""',
    "attachment; filename*=utf-8''%e2%82%ac.txt", "attachment; filename*=UTF-8'en'%e2%82%ac%20rates.txt",
    "attachment; filename*=iso-8859-1''%a3.txt", "attachment; filename*=us-ascii'en'plain%20name",
    "attachment; filename=a.txt; filename*=utf-8''b.txt",
    "attachment; filename*=utf-8''b.txt; filename=a.txt",
    "attachment; filename*0=long; filename*1=name.txt", "attachment; filename*1=b; filename*0=a",
    "attachment; filename*0*=utf-8''%e2%82; filename*1*=%ac.txt",
    "attachment; filename*0*=utf-8''a%20; filename*1=b%20c",
    'attachment; filename*0="quoted "; filename*1="part"', "attachment; filename*0=a; filename*2=c",
    "attachment; filename*00=a; filename*01=b", "attachment; filename*0=a; filename*1=b; filename*2*=%63",
    "attachment; filename*=''a", "attachment; filename*=a",
    "attachment; filename*=utf-8'a", "attachment; filename*=x-unknown''%ff",
    "attachment; filename*=utf-8''%ff%fe", "attachment; filename=caf\xe9.txt",
    "attachment; name=field; filename=f", "form-data; name=\"a'b\"", "attachment; filename=a%20b.txt",
    "attachment; filename==?utf-8?q?=e2=82=ac?=", 'attachment; filename="C:\\\\dir\\\\f.txt"',
    'attachment; filename="\\a\\b"', "filename=x", "attachment; filename = spaced",
    "attachment;filename=x;", "attachment; filename=a b c.txt", "attachment; filename=<x>",
    "attachment; filename*='en'x%20y", "attachment; filename*=utf-8''", "attachment; filename*",
    "attachment; *=x", "attachment; filename**=x", "attachment; filename*x=1",
    "attachment; filename*0=\xe9; filename*1*=%e9",
    "attachment; filename*10=k; filename*9=j; filename*0=a; filename*1=b",
]


SET_PARAMS = [
    ["charset", "ascii"], ["CHARSET", "x"], ["x", "a b"], ["x", 'a"b\\c'], ["x", ""], ["x", None], ["boundary", "a;b"],
    ["x", "1", "Content-Type", False], ["x", "a/b", "Content-Type", False], ["x", "1", "content-type", True],
    ["x", "caf\xe9"], ["x", "caf\xe9", "Content-Type", True, "iso-8859-1"],
    ["x", "caf\xe9", "Content-Type", True, "utf-8", "fr"], ["x", "a b", "Content-Type", True, "us-ascii", "en"],
    ["x", "1", "X-Other"], ["x", "1", "X-Other", False], ["x", "1", "Content-Type", True, None, "", True],
    ["charset", "y", "CONTENT-TYPE", False, None, "", True], ["x", "1", "X-None", True, None, "", True],
]
SET_ON = [
    "", "A: 1\r\nContent-Type: text/html; charset=utf-8\r\nB: 2\r\n", "Content-Type: text/html\r\nB: 2\r\n",
    'A: 1\r\ncontent-type: a/b; X="q"; y=plain; z\r\nX-Other: v; x=old; y=2\r\n',
    "Content-Type: ; charset=x\r\n", "Content-Type: a/b; x=; y\r\nB: 2\r\n", "Content-Type:\r\nX-Other:\r\n",
    "Content-Type: a/b; x*=utf-8''%c3%a9; y=1\r\nB: 2\r\n", "Content-Type: a/b; x=1; X=2; charset=1\r\n",
    "Content-Type: a/b; x=1\r\nB: 2\r\nContent-Type: c/d; charset=2\r\nMIME-Version: 1.1\r\n",
]
SET_TYPES = [["text/plain"], ["TEXT/Html"], ["text"], ["a/b/c"], ["/"], ["text/plain", "Content-Type", False],
    ["x/y", "X-Other"], ["x/y", "X-New"], ["x/y", "content-type"]]


def parameters():
    for number, lines in enumerate(SET_ON):
        for place, args in enumerate(SET_PARAMS):
            yield vector(f"set-param/{number}/{place}", lines,
                [["set_param", *args], ["items"], ["get_param", args[0], None, *args[2:3]]])
        for name, args in {"charset": ["charset"], "upper": ["X"], "none": ["none"], "type": ["a/b"],
            "other": ["x", "X-Other"], "raw": ["x", "content-type", False]}.items():
            yield vector(f"del-param/{number}/{name}", lines, [["del_param", *args], ["items"]])
        for place, args in enumerate(SET_TYPES):
            yield vector(f"set-type/{number}/{place}", lines, [["set_type", *args], ["items"]])
        if "*" not in lines:
            yield vector(f"set-boundary/{number}", lines, [["set_boundary", "b 1"], ["items"], ["get_boundary"],
                ["set_boundary", "2"], ["items"]])
        yield vector(f"set-twice/{number}", lines, [["set_param", "x", "1"], ["set_param", "x", "2"],
            ["set_type", "c/d"], ["del_param", "x"], ["items"]])
    for number, value in enumerate(CONTENT_TYPES):
        yield vector(f"set-on/{number}", f"Content-Type: {value.strip()}\r\nA: 1\r\n",
            [["set_param", "x", "new"], ["items"], ["set_type", "n/t"], ["items"], ["del_param", "charset"],
            ["items"]])
    for number, value in enumerate(DISPOSITIONS + ["", ";", " INLINE ; x=1", "A B", "\xc9TAT"]):
        yield vector(f"disposition-of/{number}", f"Content-Disposition: {value}\r\n", [["get_content_disposition"]])
    yield vector("disposition-of/none", "A: 1\r\n", [["get_content_disposition"]])
    for name, lines in {"plain": "A: 1\r\nB: 2\r\n", "lookup": LOOK_UP, "none": ""}.items():
        yield vector(f"bytes/{name}", lines, [["as_bytes"], ["raw_items"]])


def messages():
    get_all = ["A", "a", "set-cookie", "none", "x-empty", "content-type"]
    for name in get_all:
        yield vector(f"get/{name}", LOOK_UP, [["get", name], ["get", name, "else"], ["get_all", name],
            ["get_all", name, "else"], ["has", name], ["item", name], ["get", name.upper()]])
    yield vector("lists", LOOK_UP, [["keys"], ["values"], ["items"], ["size"]])
    yield vector("none", "", [["keys"], ["items"], ["size"], ["get", "a"], ["get_content_type"],
        ["get_params"], ["get_param", "x"], ["get_filename"], ["get_boundary"], ["get_content_charset"],
        ["as_string"]])
    yield vector("proto", "__proto__: a\r\nconstructor: b\r\ntoString: c\r\nhasOwnProperty: d\r\n",
        [["get", "__proto__"], ["get", "constructor"], ["get", "TOSTRING"], ["has", "valueOf"], ["keys"],
        ["delete", "__proto__"], ["items"]])
    for number, value in enumerate(CONTENT_TYPES):
        lines = f"Content-Type: {value}\r\n"
        yield vector(f"type/{number}", lines, [["get_content_type"], ["get_content_maintype"],
            ["get_content_subtype"], ["get_content_charset"], ["get_params"], ["get_param", "charset"],
            ["get_param", "CHARSET"], ["get_param", "x"],
                                               ["get_boundary"], ["get_filename"],
                                               ["get_content_charset", "else"]])
        yield vector(f"type-raw/{number}", lines,
            [["get_params", None, "content-type", False], ["get_param", "x", "else", "content-type", False],
            ["get_param", "charset", None, "content-type", False]])
    for number, value in enumerate(DISPOSITIONS):
        lines = f"Content-Disposition: {value}\r\n"
        yield vector(f"disposition/{number}", lines,
            [["get_filename"], ["get_filename", "else"], ["get_params", None, "content-disposition"],
            ["get_param", "filename", None, "Content-Disposition"],
            ["get_param", "name", "else", "content-disposition"],
                                                      ["get_params", None, "content-disposition", False]] )
    yield vector("filename/name", "Content-Type: image/png; name=a.png\r\n", [["get_filename"]])
    yield vector("filename/both",
        "Content-Type: image/png; name=a.png\r\nContent-Disposition: attachment; filename=b.png\r\n",
        [["get_filename"]])
    yield vector("filename/fallback",
        "Content-Type: image/png; name*=utf-8''%c3%a9\r\nContent-Disposition: attachment\r\n",
        [["get_filename"]])
    yield vector("two-types", "Content-Type: a/b; charset=x\r\nContent-Type: c/d; charset=y\r\n",
        [["get_content_type"], ["get_content_charset"], ["get_all", "content-type"]])
    for name, call in {
        "plain": ["X", "v"], "params": ["X", "v", [["a", "1"], ["b", "2"]]],
        "none": ["X", "v", [["flag", None]]], "only-none": ["X", None, [["flag", None]]],
        "no-value": ["X", None, [["a", "1"]]], "nothing": ["X", None], "empty": ["X", "", [["a", "b"]]],
        "quote": ["Content-Disposition", "attachment", [["filename", "a b.gif"]]],
        "escape": ["X", "v", [["a", 'say "hi"'], ["b", "back\\slash"]]],
        "special": ["X", "v", [["a", "x;y=z"]]], "underscore": ["X", "v", [["some_name", "1"]]],
        "latin": ["X", "v", [["a", "caf\xe9"]]], "wide": ["X", "v", [["a", "\u20ac rates"]]],
        "tuple": ["X", "v", [["a", {"t": ["utf-8", "", "\u20ac"]}]]],
        "tuple-lang": ["X", "v", [["a", {"t": ["iso-8859-1", "en", "\xa3 rates"]}]]],
        "tuple-ascii": ["X", "v", [["a", {"t": ["us-ascii", "en-us", "plain text"]}]]],
        "tuple-none": ["X", "v", [["a", {"t": [None, None, "plain text"]}]]],
        "empty-param": ["X", "v", [["a", ""]]], "mixed": ["X", "v", [["a", None], ["b", "1"], ["c", ""]]],
        "emoji": ["X", "v", [["a", "\U0001f600"]]],
        "reserved": ["X", "v", [["a", "\xe9!#$&+-.^_`|~*'()% "]]],
        "tuple-specials": ["X", "v", [["a", {"t": ["utf-8", "", "a*b'c%d e/f~g"]}]]],
        "long": ["X", "v", [["a", "z" * 100]]],
    }.items():
        yield vector(f"add/{name}", "A: 1\r\n",
            [["add_header", *call], ["items"], ["get_param", "a", None, call[0]],
            ["get_params", None, call[0]], ["size"]])
    yield vector("add/twice", "A: 1\r\n", [["add_header", "a", "2"], ["add_header", "A", "3"], ["items"],
        ["get_all", "a"]])
    for name, call in {"first": ["a", "9"], "case": ["SET-COOKIE", "z"], "missing": ["nope", "1"],
        "empty": ["X-Empty", "now"]}.items():
        yield vector(f"replace/{name}", LOOK_UP, [["replace_header", *call], ["items"]])
    for name in ("a", "SET-cookie", "none", "X-Empty"):
        yield vector(f"delete/{name}", LOOK_UP, [["delete", name], ["items"], ["has", name], ["size"]])
    yield vector("append", LOOK_UP, [["append", "A", "3"], ["append", "new", "4"], ["items"], ["get_all",
        "A"]])
    yield vector("append-delete", LOOK_UP, [["delete", "a"], ["append", "A", "last"], ["keys"], ["get",
        "a"]])
    for name, lines in {
        "plain": "A: 1\r\nB: 2\r\n", "lookup": LOOK_UP, "empty-value": "A:\r\nB: x\r\n",
        "trailing": "A: x  \r\n", "long": "A: " + "word " * 40 + "end\r\n",
        "long-no-blank": "A: " + "w" * 200 + "\r\n", "comma": "A: " + "x, " * 60 + "end\r\n",
        "inner": "A: a  b\tc\r\n", "lf": "A: 1\nB: 2\n", "case": "x-lower: 1\r\nX-UPPER: 2\r\n",
        "type": "Content-Type: text/html; charset=utf-8\r\n", "quote": 'A: "q\\"q"\r\n',
    }.items():
        yield vector(f"string/{name}", lines, [["as_string"]])
    yield vector("string/after", LOOK_UP, [["delete", "a"], ["replace_header", "content-type", "x/y"],
        ["append", "Z", "1"], ["as_string"]])
    yield from parameters()
    yield vector("fold", "A: b\r\n c\r\nB: d\r\n\te  \r\n", [["get", "A"], ["get", "b"], ["items"]])
    yield vector("fold-param", "Content-Type: text/html;\r\n charset=utf-8\r\n",
        [["get_content_type"], ["get_content_charset"], ["get_params"]])


def host_ports():
    cases = [
        ("example.com",), ("example.com:81",), ("example.com", 81), ("example.com:82", 81),
        ("example.com:",), ("example.com:80",), ("example.com:443",), ("example.com:abc",),
        ("example.com:8a",), ("example.com: 81",), ("example.com:+81",),
        ("example.com:-81",), ("example.com:8_1",), ("example.com:081",), ("example.com:0",),
        ("example.com:65535",), ("example.com:65536",), ("example.com:999999999999",),
        ("example.com:81.0",), ("example.com:\u0661",), ("example.com:0x50",),
        ("user@example.com",), ("user:pw@example.com",), ("user:pw@example.com:81",), ("[::1]",),
        ("[::1]:81",), ("[::1]:",), ("[::1]", 81), ("[::1]:abc",), ("::1", 81), ("::1",), ("fe80::1",),
        ("2001:db8::7",), ("[fe80::1%eth0]:81",),
        ("[fe80::1%25eth0]",), ("[::1",), ("::1]",), ("[]",), ("[]:81",), ("[",), ("]",), ("",), (":",),
        (":81",), ("", 81), ("example.com", None), ("example.com", 0), ("example.com", 80),
        ("127.0.0.1:81",), ("EXAMPLE.com",),
        ("b\xfccher.example:81",), ("example.com/path",), ("example.com:81/path",), ("http://example.com",),
        ("http://example.com:81",), ("exa mple.com",), ("example.com\r\n",), ("example.com\r\nX: y",),
        ("example.com\0",), ("example.com\x7f",),
        ("example.com:81\r\n",), ("example.com:81 ",), ("example.com:\n81",), ("\texample.com",),
        ("a:b:c",), ("a:1:2",), ("[a]b:3",), ("example.com", 99999), ("example.com", -1),
    ]
    for scheme, kind in (("http", client.HTTPConnection), ("https", client.HTTPSConnection)):
        for number, new in enumerate(cases):
            try:
                connection = kind(*new)
                expect = {"host": connection.host, "port": connection.port}
            except Exception as error:
                expect = exception(error)
            yield {"id": f"host/{scheme}/{number}", "kind": "host-port", "scheme": scheme, "new": list(new),
                "expect": expect}


def statuses():
    for name, member in http.HTTPStatus.__members__.items():
        yield {"id": f"status/{name}", "kind": "status", "name": name, "value": member.value,
            "canonical": member.name, "phrase": member.phrase}
    for value, phrase in client.responses.items():
        yield {"id": f"responses/{int(value)}", "kind": "responses", "value": int(value), "phrase": phrase}
    for name in ("HTTP_PORT", "HTTPS_PORT"):
        yield {"id": f"constant/{name}", "kind": "constants", "name": name, "value": getattr(client, name)}


def misc():
    return {"messages": [*messages()], "hosts": [*host_ports()], "status": [*statuses()]}
