/**
 * The rows: each is one way in which this library differs from CPython 3.13 on purpose. A vector that
 * is answered otherwise than CPython answers it must be explained by a row, and the row says what
 * the answer must then be: `explainResponse` and `explainRequest` give that answer and the rows that
 * it needs, in the order in which they first matter. The first one is the one that is counted.
 *
 * @module
 */

/** A deliberate difference. */
export interface Row {
  /** What the server sends, or the caller does. */
  what: string;
  /** What CPython does. */
  cpython: string;
  /** What this library does. */
  here: string;
  /** The RFC's section, or the attack. */
  why: string;
}

/** Every row, by its id. */
export const ROWS = {
  "interim": {
    what: "1xx other than 101 (102, 103)",
    cpython: "taken for the final response; 100 skipped without end",
    here: "skipped, at most 100 of them",
    why: "RFC 9110, Section 15.2",
  },
  "length-digits": {
    what: "`Content-Length` that is not `1*DIGIT`, or over 2^53-1",
    cpython: "accepted (`+5`, `5_0`) or ignored",
    here: "`ProtocolError`",
    why: "RFC 9110, Section 8.6; CVE-2018-7159",
  },
  "length-several": {
    what: "several `Content-Length` values",
    cpython: "the first line",
    here: "equal values are one, different ones a `ProtocolError`",
    why: "RFC 9112, Section 6.3, item 5",
  },
  "coding-and-length": {
    what: "`Transfer-Encoding` and `Content-Length`",
    cpython: "chunked wins",
    here: "chunked wins, and the connection is not used again",
    why: "RFC 9112, Section 6.3, item 3",
  },
  "coding": {
    what: "`Transfer-Encoding` other than exactly `chunked`, or in several lines",
    cpython: "framing bytes are the body",
    here:
      "`UnknownTransferEncoding`; blanks around `chunked` are none of it; until close, and never " +
      "reused, where it is `identity` or empty",
    why: "RFC 9112, Sections 6.1 and 6.3, item 4; CVE-2022-32215",
  },
  "coding-old": {
    what: "`Transfer-Encoding` in an HTTP/1.0 response",
    cpython: "the connection may be used again",
    here: "it is not used again",
    why: "RFC 9112, Section 6.1",
  },
  "no-body": {
    what: "a response that has no body (HEAD, 1xx, 204, 304, 2xx to CONNECT) with framing fields",
    cpython: "a chunked 204 or the tunnel's bytes are read as a body",
    here: "no body",
    why: "RFC 9112, Section 6.3, items 1 and 2",
  },
  "connection-lines": {
    what: "`Connection` in several lines, or with `close` in HTTP/1.0",
    cpython: "the first line counts; `keep-alive` beats `close` in HTTP/1.0",
    here: "all lines count, and `close` wins",
    why: "RFC 9112, Section 9.3",
  },
  "chunk-framing": {
    what: "chunk framing that is not exactly that of the RFC",
    cpython: "`0x5`, `+5`, `5_0`, bare LF and any two bytes after the data are accepted",
    here: "`IncompleteRead` with a `ProtocolError` as its cause",
    why: "RFC 9112, Section 7.1; CVE-2025-22871, CVE-2025-43859",
  },
  "trailers": {
    what: "more than 100 trailer lines",
    cpython: "read without end",
    here: "`HTTPException`",
    why: "memory and time",
  },
  "status-digits": {
    what: "a status that is not three digits",
    cpython: "`+20`, `2_0_0`, `0200` accepted",
    here: "`BadStatusLine`",
    why: "RFC 9112, Section 4",
  },
  "status-line": {
    what:
      "a status line with a control byte, or another blank than SP and HTAB; bytes that begin none",
    cpython: "accepted; `HTTP/1.` and anything behind it, too; a line end is waited for",
    here:
      "`BadStatusLine`, at once where the first bytes begin none; such blanks stay in the reason",
    why: "RFC 9112, Sections 2.2, 2.3 and 4",
  },
  "field-blanks": {
    what: "blanks behind a field value",
    cpython: "kept",
    here: "removed",
    why: "RFC 9110, Section 5.5",
  },
  "field-line": {
    what: "a field line without colon, with an empty or illegal name, or a blank before the colon",
    cpython: "it and all lines after it are lost, or the name is taken as it is",
    here: "recorded as a defect; later lines count; `ProtocolError` where framing could hide in it",
    why: "RFC 9112, Section 5.1; CVE-2021-22959",
  },
  "field-count": {
    what: "exactly 100 field lines",
    cpython: "refused: the blank line is counted",
    here: "accepted; 101 are refused",
    why: "the limit that is documented",
  },
  "obs-fold": {
    what: "a folded field line",
    cpython: "kept with its line end",
    here: "one space in its place; on a framing field a `ProtocolError`",
    why: "RFC 9112, Section 5.2",
  },
  "nul-cr": {
    what: "NUL or a bare CR in a field line",
    cpython: "kept, or the line is cut there",
    here: "`ProtocolError`",
    why: "RFC 9110, Section 5.5; CVE-2022-35256",
  },
  "head-eof": {
    what: "the connection ends within the head",
    cpython: "what came is a response",
    here: "`IncompleteRead`",
    why: "RFC 9112, Section 8",
  },
  "short-body": {
    what: "the body ends early",
    cpython: "calls other than `read()` end silently",
    here: "what came is returned, then every call throws `IncompleteRead`",
    why: "RFC 9112, Section 8",
  },
  "chunked-end": {
    what: "the connection ends within a chunk-size line",
    cpython: "`0` cut from `0a` is the end of the body",
    here: "`IncompleteRead`",
    why: "RFC 9112, Section 8",
  },
  "trailers-cut": {
    what: "the connection ends within the trailer section",
    cpython: "the body is whole",
    here: "`IncompleteRead` if any of the section came",
    why: "RFC 9112, Section 8",
  },
  "partial": {
    what: "`partial` of a chunked body that is cut off",
    cpython: "without the unfinished chunk",
    here: "every byte that arrived",
    why: "nothing that came is lost",
  },
  "error-state": {
    what: "what is left after an error in the answer",
    cpython: "reading goes on in the middle of what broke; the connection stays as it was",
    here: "the response is over, and the next request opens a new connection",
    why: "RFC 9112, Section 9.5",
  },
  "read-closed": {
    what: "reading on after `close()` with the body unfinished",
    cpython: "nothing, as at the end of the body",
    here: "`Interrupted`",
    why: "a short body never looks whole",
  },
  "idle": {
    what: "bytes, or the end, on a connection that waits for nothing",
    cpython: "the next answer is poisoned or missing",
    here: "the connection is given up, the next request opens a new one",
    why: "RFC 9112, Section 9.2; CVE-2026-6733",
  },
  "peek-beyond": {
    what: "`peek()` near the end of the body",
    cpython: "shows what comes after the body",
    here: "shows the body only",
    why: "the next answer is not this one's",
  },
  "read-minus": {
    what: "`read()` with a negative size",
    cpython: "reads beyond the body, or raw chunk framing",
    here: "reads all",
    why: "as `io` documents it",
  },
  "readline-limit": {
    what: "`readline(limit)` over several chunks",
    cpython: "can return more than `limit` bytes",
    here: "never does",
    why: "as `io` documents it",
  },
  "request-syntax": {
    what: "CR, LF, NUL or another control in what is sent, a host with a space",
    cpython: "partly checked; part of the request may be gone",
    here: "refused before anything is sent",
    why: "RFC 9112, Section 11.1; CVE-2019-9740, CVE-2019-18348, CVE-2020-26116, CVE-2026-1502",
  },
  "token": {
    what: "a method or a field name that is no token",
    cpython: "partly accepted",
    here: "`TypeError`",
    why: "RFC 9110, Sections 5.1 and 9.1",
  },
  "refused-state": {
    what: "the next call after one that was refused",
    cpython: "`CannotSendRequest`, or the refused request's lines go out with it",
    here: "as if the refused call had not been made",
    why: "a mistake costs one call, not the connection",
  },
  "request-length": {
    what: "a `Content-Length` of the caller's that is not the body's",
    cpython: "sent",
    here: "`TypeError`: before anything is sent where the size is known, else where it shows",
    why: "RFC 9110, Section 8.6: what is left over is a request to the server",
  },
  "request-framing": {
    what: "a request with `Content-Length` and `Transfer-Encoding`",
    cpython: "sent",
    here: "`TypeError`",
    why: "RFC 9112, Section 6.2",
  },
  "connect-host": {
    what: "the `Host` of a CONNECT that `request()` sends",
    cpython: "the proxy's",
    here: "the target's authority",
    why: "RFC 9110, Section 7.2",
  },
  "send-early": {
    what: "`send()` between `putrequest()` and `endheaders()`",
    cpython: "sent ahead of the head",
    here: "`CannotSendRequest`",
    why: "nothing goes out inside or ahead of a request",
  },
  "body-kinds": {
    what: "a string in `send()`, `endheaders()` or an iterable body",
    cpython: "`TypeError`, after the head went out",
    here: "sent as ISO-8859-1",
    why: "as `request()` takes it",
  },
  "array-chunk": {
    what: "a chunk of an array of larger items",
    cpython: "its size is given in items: broken framing",
    here: "its size is given in bytes",
    why: "RFC 9112, Section 7.1",
  },
  "userinfo": {
    what: "an absolute-form target with user information",
    cpython: "it is copied into `Host`",
    here: "it is left out of `Host`",
    why: "RFC 9110, Section 4.2.4",
  },
  "tunnel-2xx": {
    what: "a 2xx other than 200, or an interim response, to CONNECT",
    cpython: "the tunnel failed",
    here: "any 2xx is a tunnel; interim responses are skipped",
    why: "RFC 9110, Sections 9.3.6 and 15.2",
  },
  "tunnel-head": {
    what: "a proxy's answer to CONNECT that is no HTTP/1 head",
    cpython: "an HTTP/2 status line is taken for a tunnel",
    here: "read as any other head",
    why: "RFC 9112, Section 2.3",
  },
  "ipv6": {
    what: "a tunnel to an IPv6 address; a scope and a port in an absolute-form target",
    cpython:
      "CONNECT's `Host` is without brackets and has the scope; the port is cut off with the scope",
    here: "brackets, the port, and no scope",
    why: "RFC 9110, Section 7.2; RFC 6874, Section 4",
  },
  "port-digits": {
    what: "a port that is not digits, or over 65535",
    cpython: "`+81`, `8_1` and any number accepted",
    here: "`InvalidURL`",
    why: "RFC 3986, Section 3.2.3",
  },
  "debug-lines": {
    what: "what `set_debuglevel(1)` prints of a body object and of a proxy's answer",
    cpython: "Python's `repr` of the object; the fields with their line ends, no status line",
    here: "nothing of the object; the status line and the fields as of any answer",
    why: "there is no `repr`; a line for each line",
  },
  "iteration": {
    what: "iteration over a response",
    cpython: "lines; a response to HEAD stays open",
    here: "pieces of the body as they came, and the response is over; `lines()` gives lines",
    why: "what a web stream does",
  },
  "idna": {
    what: "a host name outside of US-ASCII",
    cpython: "IDNA 2003",
    here: "UTS 46, as URLs on the web",
    why: "the host that browsers connect to",
  },
} as const satisfies Record<string, Row>;

/** The id of a row. */
export type RowId = keyof typeof ROWS;
