/**
 * Plays request vectors and sessions on this library, over transports that record what is written.
 *
 * @module
 */
import {
  type FieldValue,
  type HeaderFields,
  HTTPConnection,
  type HTTPResponse,
  HTTPSConnection,
  type RequestBody,
} from "../../mod.ts";
import { describe } from "./play_response.ts";
import { ScriptedTransport } from "./transports.ts";
import {
  type Call,
  type ConnectionAnswer,
  type RequestVector,
  type Result,
  type Scripted,
  type SessionVector,
  toBytes,
  toText,
} from "./vectors.ts";

type BodySpec = [kind: string, content: unknown] | null;
type ValueSpec = string | number | { b: string };
type Pairs = [string, ValueSpec][];

type RequestArguments = [string, string, BodySpec, Pairs, boolean?];

/** How a mapping of header fields is given. */
export type Shape = "record" | "pairs" | "map";

/** A reader that fills what it is given, as a file does. */
function readerOf(text: string): { read(p: Uint8Array): Promise<number | null> } {
  let rest = toBytes(text);
  return {
    read(target) {
      if (rest.length === 0) return Promise.resolve(null);
      const piece = rest.subarray(0, target.length);
      target.set(piece);
      rest = rest.subarray(piece.length);
      return Promise.resolve(piece.length);
    },
  };
}

/** The counterpart of a Python body. */
function bodyOf(spec: BodySpec): RequestBody | null {
  if (spec === null || spec === undefined) return null;
  const [kind, content] = spec;
  const parts = () => (content as string[]).map(toBytes);
  switch (kind) {
    case "str":
      return content as string;
    case "strs":
      return content as string[];
    case "int":
      return content as unknown as string;
    case "bytes":
      return toBytes(content as string);
    case "bytearray":
      return toBytes(content as string).buffer;
    case "memoryview":
      return new DataView(toBytes(content as string).buffer);
    case "array16":
      return new Uint16Array(toBytes(content as string).buffer);
    case "file":
    case "text":
      return readerOf(content as string);
    case "list":
      return parts();
    case "tuple":
      return new Set(parts());
    case "gen":
      return (function* () {
        yield* parts();
      })();
    default:
      throw new Error(`No such body: ${kind}`);
  }
}

function valueOf(spec: ValueSpec): FieldValue {
  return typeof spec === "object" ? toBytes(spec.b) : spec;
}

function headersOf(pairs: Pairs | null, shape: Shape): HeaderFields | null {
  if (pairs === null) return null;
  const fields = pairs.map(([name, value]) => [name, valueOf(value)] as [string, FieldValue]);
  if (shape === "record") return Object.fromEntries(fields);
  return shape === "map" ? new Map(fields) : fields;
}

/** A connection, its transports and the response at hand. */
class Session {
  transports: ScriptedTransport[] = [];
  response: HTTPResponse | null = null;
  constructor(readonly connection: HTTPConnection, readonly shape: Shape) {}

  get sent(): string[] {
    return this.transports.map((transport) => transport.sent);
  }

  /** One call; it fails as the library fails. */
  async perform([name, ...args]: Call): Promise<Result> {
    const conn = this.connection;
    switch (name) {
      case "request": {
        const [method, url, body, headers, chunked] = args as RequestArguments;
        const options = chunked === undefined ? {} : { encode_chunked: chunked };
        await conn.request(method, url, bodyOf(body), headersOf(headers, this.shape), options);
        return null;
      }
      case "putrequest":
        conn.putrequest(...args as [string, string]);
        return null;
      case "putheader": {
        const [field, ...values] = args as ValueSpec[];
        conn.putheader(typeof field === "object" ? field.b : String(field), ...values.map(valueOf));
        return null;
      }
      case "endheaders": {
        const [body, chunked] = args as [BodySpec, boolean?];
        await conn.endheaders(bodyOf(body), { encode_chunked: chunked });
        return null;
      }
      case "send":
        await conn.send(bodyOf(args[0] as BodySpec)!);
        return null;
      case "set_tunnel": {
        const [host, port, headers] = args as [string, number | null, Pairs | null];
        conn.set_tunnel(host, port, headersOf(headers, this.shape));
        return null;
      }
      case "proxy_headers":
        return { pairs: conn.get_proxy_response_headers()?.items() ?? null } as unknown as Result;
      case "set_debuglevel":
        conn.set_debuglevel(args[0] as number);
        return null;
      case "connect":
        await conn.connect();
        return null;
      case "close":
        conn.close();
        return null;
      case "connected":
        return conn.sock !== null;
      default:
        return await this.#respond(name, args);
    }
  }

  async #respond(name: string, args: unknown[]): Promise<Result> {
    if (name === "getresponse") {
      this.response = await this.connection.getresponse();
      return this.response.status;
    }
    const response = this.response!;
    switch (name) {
      case "read":
        return { b: toText(await response.read(args[0] as number)) } as unknown as Result;
      case "isclosed":
        return response.isclosed();
      case "response-close":
        response.close();
        return null;
      default:
        throw new Error(`No such call: ${name}`);
    }
  }

  async attempt(call: Call): Promise<Result> {
    try {
      return await this.perform(call);
    } catch (error) {
      const { cause: _, ...thrown } = describe(error);
      return thrown;
    }
  }
}

/** Whether a CONNECT head was just written whole. */
function asksForTunnel(transport: ScriptedTransport): boolean {
  return transport.sent.startsWith("CONNECT ") && transport.sent.endsWith("\r\n\r\n");
}

function connect(vector: RequestVector, session: () => Session): HTTPConnection {
  const { blocksize, scheme } = vector;
  const [host, port] = vector.new;
  const make = () => {
    const transport = new ScriptedTransport();
    const { transports } = session();
    const answer = toBytes(vector.answers[transports.length] ?? "");
    transports.push(transport);
    const tunnels = vector.calls.some(([name]) => name === "set_tunnel");
    let released = false;
    transport.onWrite = () => {
      if (released || !tunnels || !asksForTunnel(transport)) return;
      released = true;
      transport.release(answer, vector.id.includes("/reply-"));
    };
    return transport;
  };
  const options = { blocksize, transport: () => Promise.resolve(make()) };
  const Class = scheme === "https" ? HTTPSConnection : HTTPConnection;
  return port === undefined ? new Class(host, options) : new Class(host, port, options);
}

/** This library's answer to a request vector. */
export async function playRequest(vector: RequestVector, shape: Shape): Promise<ConnectionAnswer> {
  let session: Session;
  try {
    session = new Session(connect(vector, () => session), shape);
  } catch (error) {
    return { new: describe(error) };
  }
  const conn = session.connection;
  if (vector.scheme === "https") {
    // TLS is no part of the exchange: a ready transport is put in.
    const transport = new ScriptedTransport();
    session.transports.push(transport);
    conn.sock = transport;
  }
  if (vector.auto_open === false) conn.auto_open = 0;
  const out: Result[] = [];
  for (const call of vector.calls) {
    const result = session.attempt(call);
    if (call[0] === "getresponse") {
      const at = session.transports.length - 1;
      session.transports[at]?.release(toBytes(vector.answers[at] ?? ""), true);
      const got = await result;
      out.push(typeof got === "number" ? await drain(session) : got);
    } else out.push(await result);
  }
  const { sent } = session;
  conn.close();
  return { out, sent };
}

/** As the generator's getresponse: the body is read to its end. */
async function drain(session: Session): Promise<null> {
  await session.response!.read();
  return null;
}

/** This library's answer to a session. */
export async function playSession(
  vector: Pick<SessionVector, "calls" | "script" | "twin"> & { expect: ConnectionAnswer },
  debuglevel = 0,
): Promise<ConnectionAnswer> {
  const script: Scripted[] = [...vector.script];
  const release = (transport: ScriptedTransport) => {
    const next = script.shift();
    if (next !== undefined) transport.release(toBytes(next.text), next.ended);
  };
  const make = () => {
    const transport = new ScriptedTransport();
    session.transports.push(transport);
    let tunnelled = false;
    transport.onWrite = () => {
      if (tunnelled || !asksForTunnel(transport)) return;
      tunnelled = true;
      release(transport);
    };
    return Promise.resolve(transport);
  };
  const connection = new HTTPConnection("example.com", { transport: make });
  const session: Session = new Session(connection, "record");
  session.connection.set_debuglevel(debuglevel);
  const out: Result[] = [];
  for (const [i, call] of vector.calls.entries()) {
    const result = session.attempt(call);
    const refused = (vector.twin ?? vector.expect).out?.[i] as { x?: string } | undefined;
    if (call[0] === "getresponse" && refused?.x !== "ResponseNotReady") {
      release(session.transports[session.transports.length - 1]);
    }
    out.push(await result);
  }
  const { sent } = session;
  session.connection.close();
  return { out, sent };
}
