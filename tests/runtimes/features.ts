/**
 * What not every runtime can do: each is tried against servers elsewhere, as `tour.ts` is.
 *
 * @module
 */
import { errors } from "../../errors.ts";
import {
  HTTPConnection,
  type HTTPConnectionOptions,
  HTTPSConnection,
  type HTTPSConnectionOptions,
  type Transport,
} from "../../mod.ts";
import type { Servers } from "./tour_server.ts";

/** Sends a GET, and checks the body. */
async function get(conn: HTTPConnection, target = "/length", body = "hello"): Promise<void> {
  try {
    await conn.request("GET", target);
    const response = await conn.getresponse();
    const text = await response.decoded().text();
    if (text !== body) throw new Error(`The body is ${JSON.stringify(text)}`);
  } finally {
    conn.close();
  }
}

type Features = Record<string, (servers: Servers) => Promise<void>>;

/** A connection over TLS. */
function secure({ tls, ca }: Servers, options: HTTPSConnectionOptions = {}): HTTPSConnection {
  const { context, ...rest } = options;
  return new HTTPSConnection("localhost", tls.port, {
    timeout: 10,
    ...rest,
    context: { caCerts: [ca], ...context },
  });
}

/** A connection in the clear. */
function plain({ plain }: Servers, options: HTTPConnectionOptions = {}): HTTPConnection {
  return new HTTPConnection(plain.hostname, plain.port, { timeout: 10, ...options });
}

/** What lies under a connection to the TLS server, as a transport of the user's. */
async function wrapped({ tls, ca: _ }: Servers): Promise<Transport> {
  const conn = new HTTPConnection("127.0.0.1", tls.port, { timeout: 10 });
  await conn.connect();
  const sock = conn.sock!;
  return {
    read: (p) => sock.read(p),
    write: (p) => sock.write(p),
    close: () => conn.close(),
  };
}

const FEATURES: Features = {
  // The authority is one that the runtime was told to trust.
  "HTTPS": ({ tls }) => get(new HTTPSConnection("localhost", tls.port, { timeout: 10 })),
  "HTTPS, own CA": (servers) => get(secure(servers)),
  "unix socket": (servers) => get(plain(servers, { socketPath: servers.unix.path })),
  "`source_address`": (servers) =>
    get(plain(servers, { source_address: ["127.0.0.5", 0] }), "/remote", "127.0.0.5"),
  "client certificate": (servers) => get(secure(servers, { context: servers.client })),
  "`CERT_NONE`": async (servers) => {
    const conn = new HTTPSConnection("localhost", servers.tls.port, {
      timeout: 10,
      context: { verify_mode: "CERT_NONE" },
    });
    await get(conn);
  },
  "TLS over a `transport`": (servers) =>
    get(secure(servers, { transport: () => wrapped(servers) })),
  "gzip": (servers) => get(plain(servers), "/gzip", "hello".repeat(1000)),
  "br": (servers) => get(plain(servers), "/br", "hello".repeat(1000)),
  "zstd": (servers) => get(plain(servers), "/zstd", "hello".repeat(1000)),
};

/** How far a feature works: it does, it is refused with `NotSupported`, or it fails in another way. */
export type Answer = "yes" | "refused" | "no" | `no: ${string}`;

/** Tries all features. */
export async function probe(servers: Servers): Promise<Record<string, Answer>> {
  const answers: Record<string, Answer> = {};
  for (const [name, use] of Object.entries(FEATURES)) {
    try {
      await use(servers);
      answers[name] = "yes";
    } catch (error) {
      answers[name] = error instanceof errors.NotSupported ? "refused" : `no: ${error}`;
    }
  }
  return answers;
}
