/**
 * Errors of opening a connection: one class and one wording for each cause, whichever runtime's socket met
 * it. They say what could not be done, with which host and port (or path), and why; what the platform
 * threw is the `cause`.
 *
 * @module
 */
import { errors } from "../../errors.ts";
import { uriHost } from "../wire/authority.ts";
import { type ErrorClass, type SocketAddress, socketError } from "./platform.ts";

/**
 * What the codes of the system mean: the class of Deno's own sockets, how those word it, and what a
 * person is told when a connection cannot be opened.
 */
const CODES: Record<string, [constructor: ErrorClass, text: string, meaning: string]> = {
  ECONNREFUSED: [errors.ConnectionRefused, "Connection refused", "the connection was refused"],
  ECONNRESET: [errors.ConnectionReset, "Connection reset by peer", "the connection was reset"],
  ECONNABORTED: [
    errors.ConnectionAborted,
    "Software caused connection abort",
    "the connection was aborted",
  ],
  EPIPE: [errors.BrokenPipe, "Broken pipe", "the connection was closed"],
  ETIMEDOUT: [errors.TimedOut, "Connection timed out", "nobody answered"],
  EADDRINUSE: [errors.AddrInUse, "Address already in use", "the source address is in use"],
  EADDRNOTAVAIL: [
    errors.AddrNotAvailable,
    "Cannot assign requested address",
    "the source address is none of this machine's",
  ],
  ENOENT: [errors.NotFound, "No such file or directory", "there is no such socket"],
  EACCES: [errors.PermissionDenied, "Permission denied", "permission was denied"],
  EPERM: [errors.PermissionDenied, "Operation not permitted", "permission was denied"],
  ENETUNREACH: [
    errors.NetworkUnreachable,
    "Network is unreachable",
    "the network cannot be reached",
  ],
  EHOSTUNREACH: [Error, "No route to host", "there is no route to the host"],
};

/** The codes of Node's for a name that has no address, or none just now. */
const LOOK_UP_CODES = ["ENOTFOUND", "EAI_AGAIN", "EAI_NODATA", "EAI_NONAME", "EAI_FAIL"];

/** What rustls says of what the peer has sent. */
const PEER_PROBLEM = new RegExp(
  "received (fatal alert|corrupt message|unexpected)|cannot decrypt peer's message|" +
    "peer (misbehaved|is incompatible|sent)|invalid peer certificate",
);

interface SystemError extends Error {
  code?: string;
  errno?: number;
  syscall?: string;
}

/**
 * An error of one of Node's sockets as Deno's own sockets would throw it; the original is the cause.
 *
 * @param isTls Whether the socket is one of TLS: Deno words the same differently there.
 */
export function asDenoError(error: unknown, isTls = false): unknown {
  if (!(error instanceof Error) || isDenoError(error)) return error;
  const { code, errno, syscall, message } = error as SystemError;
  // The code is OpenSSL's for it.
  if (PEER_PROBLEM.test(message)) {
    return socketError(errors.InvalidData, message, error, code);
  }
  // Node tells of an end within the handshake as of a reset.
  if (/disconnected before secure/.test(message)) {
    return socketError(errors.UnexpectedEof, "unexpected end of file", error);
  }
  const known = codeOf(code, syscall);
  if (known === undefined) return error;
  const [constructor, text] = CODES[known]!;
  const worded = isTls ? text.toLowerCase().replace(" by peer", "") : text;
  const isNumbered = !isTls && errno !== undefined && known === code;
  const number = isNumbered ? ` (os error ${Math.abs(errno)})` : "";
  return socketError(constructor, worded + number, error, known);
}

/** What a code of Node's stands for. */
function codeOf(code: string | undefined, syscall: string | undefined): string | undefined {
  // Deno: node:net tells of writes that were pending at a reset that they were cancelled.
  if (code === "ECANCELED") return "ECONNRESET";
  // A socket that was reset before anything was done with it.
  if (code === "ENOTCONN") return "ECONNRESET";
  // Deno: node:net says of a source address that has this very connection that the argument is invalid.
  if (code === "EINVAL" && syscall === "connect") return "EADDRINUSE";
  // Deno: node:net says that an address cannot be bound as if the argument were none.
  if (code === "EINVAL" && syscall === "bind") return "EADDRNOTAVAIL";
  return code !== undefined && Object.hasOwn(CODES, code) ? code : undefined;
}

/** Whether an error is one of Deno's own classes. */
function isDenoError(error: Error): boolean {
  return Object.values(errors).some((constructor) => error instanceof constructor);
}

/** A host and a port as they are shown. */
export function shownPeer(host: string, port: number): string {
  return `${uriHost(host)}:${port}`;
}

/**
 * The error of a connection that cannot be opened.
 *
 * @param action What could not be done, such as `Cannot connect to 127.0.0.1:80`.
 */
export function connectError(error: unknown, action: string): unknown {
  if (!(error instanceof Error)) return error;
  const { code, message } = error as SystemError;
  if (isLookUpError(error)) {
    const told = `${action}: the name of the host has no address`;
    return socketError(errors.NotFound, told, error, code ?? "ENOTFOUND");
  }
  const known = codeOf(code, undefined);
  const meaning = known === undefined ? message : CODES[known]![2];
  if (error instanceof errors.NotConnected) {
    return socketError(errors.ConnectionReset, `${action}: ${meaning}`, error, known);
  }
  return retold(error, `${action}: ${meaning}`);
}

/** The same error with another message; its original is the cause. */
function retold(error: Error, message: string): Error {
  return socketError(classOf(error), message, error, (error as SystemError).code);
}

/** The class that an error can be made anew of. */
function classOf(error: Error): ErrorClass {
  const classes: ErrorClass[] = [...Object.values(errors), TypeError, RangeError, URIError];
  return classes.find((constructor) => error.constructor === constructor) ?? Error;
}

/** Whether a name could not be resolved. Deno: `Deno.connect` has neither class nor code for it. */
function isLookUpError(error: Error): boolean {
  const { code, message } = error as SystemError;
  return (code !== undefined && LOOK_UP_CODES.includes(code)) ||
    /failed to lookup address/.test(message);
}

/** What the messages of the TLS implementations mean, in one line each. */
const CERTIFICATE_PROBLEMS: [pattern: RegExp, meaning: string][] = [
  [/UnknownIssuer|SELF_SIGNED/, "its issuer is not trusted"],
  // Deno's node:tls says the same of either.
  [/UNABLE_TO_|unable to (verify|get)/, "its issuer is not trusted, or it has expired"],
  [/certificate expired|CERT_HAS_EXPIRED/, "it has expired"],
  [/not valid yet|CERT_NOT_YET_VALID/, "it is not valid yet"],
  [/not valid for (any )?name|ALTNAME_INVALID/, "it is for another name"],
  [/CaUsedAsEndEntity/, "it is a CA's own certificate"],
];

/**
 * The error of a TLS handshake.
 *
 * @param action What could not be done, such as `Cannot establish TLS with localhost:443`.
 */
export function tlsError(error: unknown, action: string): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as SystemError;
  const text = code === undefined ? error.message : `${code} ${error.message}`;
  const invalid = (why: string) =>
    socketError(errors.InvalidData, `${action}: ${why} (${error.message})`, error, code);
  const found = CERTIFICATE_PROBLEMS.find(([pattern]) => pattern.test(text));
  if (found !== undefined) return invalid(`the certificate was refused, ${found[1]}`);
  if (/InvalidContentType|wrong[ _]version[ _]number|packet[ _]length/i.test(text)) {
    return invalid("the server does not speak TLS on this port");
  }
  if (error instanceof errors.UnexpectedEof) {
    return socketError(errors.UnexpectedEof, `${action}: the server closed the connection`, error);
  }
  // A pipe of TCP breaks by a reset.
  if (
    error instanceof errors.ConnectionReset || error instanceof errors.BrokenPipe ||
    error instanceof errors.NotConnected
  ) {
    const known = code === undefined ? undefined : "ECONNRESET";
    return socketError(
      errors.ConnectionReset,
      `${action}: the connection was reset`,
      error,
      known,
    );
  }
  return connectError(error, action);
}

/**
 * An error of a write to a socket, told as a reset where it is one: a pipe of TCP breaks when the reset was
 * told to somebody else before, such as to the read of the answer. A unix socket knows no resets.
 */
export function writeError(error: unknown, transport: object): unknown {
  if (!(error instanceof errors.BrokenPipe)) return error;
  const { remoteAddr } = transport as { remoteAddr?: SocketAddress };
  if (remoteAddr !== undefined && "path" in remoteAddr) return error;
  // Deno: TLS words the same without a capital.
  const message = error.message.startsWith("B") ? "Connection reset by peer" : TLS_RESET;
  return socketError(errors.ConnectionReset, message, error, "ECONNRESET");
}

/** How Deno's TLS words a reset. */
const TLS_RESET = "connection reset";

/** An error of what TLS runs over, as Deno's own TLS tells it. */
export function asTlsError(error: unknown, transport: object): unknown {
  const told = writeError(error, transport);
  if (!(told instanceof errors.ConnectionReset)) return told;
  return socketError(errors.ConnectionReset, TLS_RESET, error, "ECONNRESET");
}
