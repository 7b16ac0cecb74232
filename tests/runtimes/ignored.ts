/**
 * What of the tests is not run on other runtimes, by name, and why.
 *
 * @module
 */

/** Tests whose names match do not run there. */
type Ignored = [runtimes: RegExp, file: RegExp, name: RegExp, why: string];

const ALL = /./;

/** Where there is no Deno. */
const ELSEWHERE = /^(node|bun)/;

/** Versions of Deno whose brotli, `node:tls` and source addresses are refused, and that lack zstd. */
const OLD = /^2\.[56]\./;

/** What uses `node:tls`: a client certificate, no verification, and TLS over anything but TCP. */
const NODE_TLS = new RegExp([
  "client certificate",
  "no verification",
  "CERT_NONE",
  "[Nn]ode's TLS",
  "node:tls",
  "TLS over (?:a|own) transport",
  "over a transport of the user's",
  "HTTPS proxy",
  "encrypted",
  "client's key",
].join("|"));

const IGNORED: Ignored[] = [
  [
    ELSEWHERE,
    ALL,
    /needDeno|Deno cannot|can end the process|Deno's own|socket of Deno's|isDenoSocket\(\) is true|Deno\.connect|CLOSE_ENDS_READS/,
    "Deno's sockets",
  ],
  [
    ELSEWHERE,
    /tls_test|connector_test/,
    /port 443|in one step|what the platform says|platform has another error/,
    "Deno Deploy's rules",
  ],
  [
    ELSEWHERE,
    /connection|connector|deadlines/,
    /timer|call that waits/,
    "the clock of these tests stands for Deno's timers",
  ],
  [
    ELSEWHERE,
    /connector_test/,
    /a failed write over TCP/,
    "Deno's sockets tell what of a failed write was accepted",
  ],
  [ELSEWHERE, ALL, /close_notify.*Deno's TLS/, "node:tls does not tell of it, on Deno neither"],
  [ELSEWHERE, ALL, /NotCapable|that it may connect to|permission/, "there are no permissions"],
  [
    ELSEWHERE,
    ALL,
    /keep a process alive|hold the process|lets the process end/,
    "a child process of Deno's",
  ],
  [ELSEWHERE, ALL, /listener's queue is full|does not accept/, "the queue of a listener of Deno's"],
  [ELSEWHERE, /request_body_test|early_response_test/, /a file|file by its/, "files of Deno's"],
  [ELSEWHERE, /route_test/, /HTTPS proxy/, "TLS to the proxy by Deno"],
  [ELSEWHERE, /response_test/, /^read\((NaN|1\.5|"2")\)/, "a worker of Deno's"],
  [
    ELSEWHERE,
    /response_stream_test/,
    /stuck after three pieces/,
    "a stream of Node's takes one piece more ahead",
  ],
  [ELSEWHERE, /client_request_test/, /a file from where it stands/, "files of Deno's"],
  [
    /^node@20/,
    /content/,
    /zstd|two field lines|five codings|100 MiB and no more|has json\(\)|leaves the connection reusable/i,
    "node:zlib has no zstd before 22.15",
  ],
  [/^node@22/, /tls_test/, /IPv6 address/, "Node 22.23 takes an IPv6 address for a name"],
  [
    ELSEWHERE,
    /tls_test/,
    /is refused again/,
    "a server of Node's does not tell of handshakes that failed",
  ],
  [
    ELSEWHERE,
    /buffered_reader_test/,
    /gives no bytes$/,
    "it expects a turn of the loop before a timer of 1 ms",
  ],
  [
    ELSEWHERE,
    /route_test/,
    /\(a unix socket\)/,
    "the server that stands for Deno's does not always end there; the library does",
  ],
  [
    ELSEWHERE,
    /node_sockets_test/,
    /over 64 KiB|failed with first/,
    "how Node holds back, and which error it tells",
  ],
  [
    ELSEWHERE,
    /errors_test/,
    /resets while the body goes out/,
    "Node counts a write that was reset",
  ],
  [
    /^bun/,
    /early_response_test/,
    ALL,
    "the server of these tests takes all of an upload on Bun",
  ],
  [/^bun/, /client_timeout_test/, /does not read/, "the same"],
  [
    ELSEWHERE,
    /early_response_test/,
    /closes \(Deno's TLS\)/,
    "node:tls drops an answer that a reset follows",
  ],
  [/^bun/, /exchange_test/, /the nearest first/, "its stacks name no arrow functions"],
  [ELSEWHERE, /stack_test/, /no unhandled rejection/, "an event of Deno's"],
  [
    /^(?!2\.9)/,
    /tour_test/,
    /every feature/,
    "what of them works elsewhere is looked at by `features.ts`, and shown in the README",
  ],
  [
    /^2\.8\.3/,
    /tls_test/,
    /without close_notify/,
    "the test's server closes a socket while it reads, which is not told there",
  ],
  [
    /^2\.8\.3/,
    /node_sockets_test/,
    /over a socket of Node's|over 64 KiB|carries bytes both ways/,
    "the same of a server of node:net",
  ],
  [
    /^2\.7\./,
    /tls_failures_test|tls_test|route_test|sockets_test|identity_test/,
    /load_default_certs|nothing but caCerts|pinned certificates|that the server refuses|large bod|encrypted|with a password|SNI|ALPN|server_hostname|the server's name|client certificate|resets while it sends|outside of US-ASCII/,
    "its node:tls: load_default_certs is refused; large bodies and late refusals stop it; no encrypted keys",
  ],
  [
    /^2\.8\.2/,
    /platform_test/,
    /CLOSE_ENDS_READS tells/,
    "it is treated as 2.8.3, whose close() is broken",
  ],
  [/^2\.6\./, /stack_test/, /readlines\(\)|a second readinto/, "its V8 shows fewer callers"],
  [/^2\.[78]\./, /content/, /of at most 64 KiB/, "its streams of Node join pieces"],
  [
    /^2\.8\.3/,
    /tls_failures_test/,
    /given up does not keep/,
    "its close() leaves what is read, as above",
  ],
  [OLD, ALL, NODE_TLS, "needs Deno 2.7.13, and is refused"],
  [OLD, ALL, /source[ _]address|another machine's|source up/, "needs Deno 2.7.4, and is refused"],
  [
    OLD,
    /route_test/,
    /(caCerts|check_hostname|server_hostname|SNI|ALPN|another name|deadlines\.tls).*\((own transport|a unix socket|a tunnel over own transport)\)/,
    "TLS over anything but TCP needs Deno 2.7.13, and is refused",
  ],
  [
    OLD,
    /tls_test|tls_ways/,
    /SNI|ALPN|server_hostname|the server's name|shows a client|looks like one|outside of US-ASCII|leaves the host as/,
    "a server of Deno's node:tls, which lacks much there",
  ],
  [OLD, /identity_test/, /./, "needs node:crypto of Deno 2.7.13"],
  [
    OLD,
    /content/,
    /\bbr\b|brotli|zstd|zip of|codings|100 MiB|all of the body has come|before it is read|has (text|json)|loop over|leaves the connection/i,
    "br and zstd",
  ],
  [
    OLD,
    ALL,
    /\breset|closed while it was idle \(|while a stream is quiet/i,
    "a server of Deno's node:net does not work there",
  ],
  [OLD, /deadlines_test/, /when a handshake does not come/, "TLS over a transport of the user's"],
  [OLD, /detach_test/, /while a tunnel rested/, "a source address"],
  [
    /^2\.5\.0/,
    /content/,
    /while timers fire|of at most 64 KiB|no further ahead/,
    "its node:zlib decodes all of what it is given at once",
  ],
  [OLD, /parity/, /requests|illegal/, "domainToASCII() of its node:url throws"],
  [/^2\.[5-7]\./, ALL, /does not resolve|name is unknown/, "Deno leaves a resource behind"],
  [
    /^2\.[5-8]\./,
    /response_stream_test/,
    /stuck after three pieces/,
    "its streams take one piece more ahead",
  ],
  [/^node/, /response_stream_test/, /^a least size that is no whole/, "Node refuses such a size"],
  [/^workerd/, /small_chunks_test/, /^decodeSmallChunks\(\)/, "workerd compiles no WebAssembly"],
  [
    OLD,
    /send_request_test|platform_test/,
    /no turn of the event loop|CLOSE_ENDS_READS tells/,
    "its setImmediate() is told of as a timer",
  ],
];

/** Files that test Deno itself: its sockets, its workers, its way to show objects. */
const LEFT_OUT: [file: string, why: string][] = [
  ["net/sockets_test.ts", "Deno's sockets"],
  ["net/connect_errors_test.ts", "child processes of Deno's, with its permissions"],
  ["net/tls_failures_test.ts", "child processes of Deno's, with its certificates"],
  ["public/inspect_test.ts", "quotes and indentation as Deno shows them"],
  ["wire/inspect_test.ts", "quotes and indentation as Deno shows them"],
  ["public/response_close_test.ts", "workers of Deno's"],
];

/** Whether a file is not run at all. */
export function isLeftOut(path: string): boolean {
  return LEFT_OUT.some(([file]) => path.endsWith(file));
}

/** What the names of the tests of a file match that are not run on a runtime, such as `node@22`. */
export function ignoredOn(runtime: string, path: string): RegExp[] {
  return IGNORED.filter(([runtimes, file]) => runtimes.test(runtime) && file.test(path))
    .map(([, , pattern]) => pattern);
}
