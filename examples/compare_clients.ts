/**
 * The four clients of `compare.ts` behind one face. Each is used by the best API that it has for the
 * purpose; what it has no API for is `NotPossible`.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import http from "node:http";
import type { Duplex } from "node:stream";
import { Readable } from "node:stream";
import { HTTPConnection, type HTTPMessage, type HTTPResponse } from "@denoports/http-client";
import { concat, latin1, type RawServer } from "../tests/servers/raw.ts";

/** Field lines. */
export type Fields = [name: string, value: string][];

/** A request. */
export interface Ask {
  readonly method?: string;
  readonly target?: string;
  readonly fields?: Fields;
  /** Bytes of a known size, or pieces of them. */
  readonly body?: string | (() => AsyncIterable<Uint8Array>);
  /** Sends `Expect: 100-continue` and waits. */
  readonly expect?: boolean;
  /** Fields after a chunked body. */
  readonly trailers?: Fields;
  /** Leaves out the fields that the client adds and that can be left out. */
  readonly bare?: boolean;
}

/** What the client shows of the answer. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly fields: Fields;
  readonly interim: { status: number; fields: Fields }[];
  readonly trailers: Fields;
  readonly body: string;
}

/** A connection that has switched protocols. */
export interface Raw {
  /** Writes some bytes. */
  send(text: string): Promise<void>;
  /** Reads at least one byte. */
  read(): Promise<string>;
}

/** A client of one server, with its own pool of connections. */
export interface Client {
  /** Makes a request and reads its whole answer. */
  ask(ask: Ask): Promise<Answer>;
  /** Makes a request that makes the connection something else. */
  takeOver(ask: Ask): Promise<Raw>;
  /** Ends all of it. */
  close(): void | Promise<void>;
}

/** The client has no API for that. */
export class NotPossible extends Error {}

type Where = Pick<RawServer, "hostname" | "port" | "path">;

/** The name of this library's column. */
export const OURS = "this library";

/** The clients, by the names of their columns; what one needs of npm is loaded when it is opened. */
export const CLIENTS: Record<string, (where: Where) => Client | Promise<Client>> = {
  [OURS]: ours,
  "Deno's `fetch`": fetching,
  "`npm:undici`": undicis,
  "`node:http` on Deno": nodes,
};

/** `["a", "1", "b", "2"]` as pairs. */
function pairs(flat: readonly string[]): Fields {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]]);
}

/** A record as undici and Node make them, as pairs. */
function entries(record: Record<string, string | string[] | undefined>): Fields {
  return Object.entries(record).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, one])
  );
}

/** A Node stream that was handed over. */
function rawOf(socket: Duplex, head: Uint8Array = new Uint8Array(0)): Raw {
  if (head.length > 0) socket.unshift(Buffer.from(head));
  return {
    send: (text) => new Promise((resolve) => socket.write(text, () => resolve())),
    async read() {
      for (let piece;;) {
        if ((piece = socket.read()) !== null) return latin1(piece);
        await once(socket, "readable");
      }
    },
  };
}

function ours(where: Where): Client {
  let interim: Answer["interim"] = [];
  const conn = new HTTPConnection(where.hostname, where.port, {
    ...(where.path === "" ? {} : { socketPath: where.path }),
    onInformational: (status: number, _reason: string, headers: HTTPMessage) => {
      interim.push({ status, fields: headers.items() });
    },
  });
  async function send(ask: Ask): Promise<HTTPResponse> {
    interim = [];
    const { method = "GET", target = "/", fields = [], expect, trailers } = ask;
    const body = typeof ask.body === "function" ? ask.body() : ask.body;
    if (ask.bare) {
      conn.putrequest(method, target, { skip_accept_encoding: true });
      for (const [name, value] of fields) conn.putheader(name, value);
      await conn.endheaders();
    } else {
      await conn.request(method, target, body, fields, { expect_continue: expect, trailers });
    }
    return await conn.getresponse();
  }
  return {
    async ask(ask) {
      const response = await send(ask);
      const { status, reason } = response;
      const body = latin1(await response.read());
      const trailers = response.trailers?.items() ?? [];
      return { status, reason, fields: response.getheaders(), interim, trailers, body };
    },
    async takeOver(ask) {
      await send(ask);
      const { readable, writable } = conn.detach();
      const [reader, writer] = [readable.getReader(), writable.getWriter()];
      return {
        send: (text) => writer.write(new TextEncoder().encode(text)),
        read: async () => latin1((await reader.read()).value ?? new Uint8Array()),
      };
    },
    close: () => conn.close(),
  };
}

function fetching(where: Where): Client {
  const client = Deno.createHttpClient({
    http1: true,
    http2: false,
    allowHost: true,
    ...(where.path === "" ? {} : { proxy: { transport: "unix", path: where.path } }),
  });
  const send = ({ method = "GET", target = "/", fields = [], body, expect, trailers }: Ask) => {
    if (trailers) throw new NotPossible();
    return fetch(`http://${where.hostname}${where.path ? "" : `:${where.port}`}${target}`, {
      method,
      headers: expect ? [...fields, ["Expect", "100-continue"]] : fields,
      body: typeof body === "function" ? ReadableStream.from(body()) : body,
      redirect: "manual",
      client,
    });
  };
  return {
    async ask(ask) {
      const response = await send(ask);
      const { status, statusText: reason } = response;
      const body = latin1(await response.bytes());
      return { status, reason, fields: [...response.headers], interim: [], trailers: [], body };
    },
    async takeOver(ask) {
      const response = await send(ask);
      await response.body?.cancel();
      throw new NotPossible(); // A `Response` has no socket.
    },
    close: () => client.close(),
  };
}

async function undicis(where: Where): Promise<Client> {
  const undici = await import("npm:undici@7");
  const client = new undici.Client(`http://${where.hostname}:${where.port || 80}`, {
    ...(where.path === "" ? {} : { socketPath: where.path }),
  });
  return {
    async ask({ method = "GET", target = "/", fields = [], body, expect, trailers: added }) {
      if (added) throw new NotPossible();
      const interim: Answer["interim"] = [];
      const response = await client.request({
        method,
        path: target,
        headers: [...fields, ...(expect ? [["Expect", "100-continue"]] : [])].flat(),
        body: typeof body === "function" ? Readable.from(body()) : body,
        responseHeaders: "raw",
        onInfo: ({ statusCode: status, headers }) => {
          interim.push({ status, fields: pairs(headers as unknown as string[]) });
        },
      });
      const { statusCode: status, statusText: reason, headers } = response;
      const text = latin1(await response.body.bytes());
      const trailers = entries(response.trailers);
      const shown = pairs(headers as unknown as string[]);
      return { status, reason, fields: shown, interim, trailers, body: text };
    },
    async takeOver({ method, target = "/", fields = [] }) {
      if (method === "CONNECT") {
        const { socket } = await client.connect({ path: target, headers: fields.flat() });
        return rawOf(socket);
      }
      const protocol = fields.find(([name]) => name === "Upgrade")![1];
      const { socket } = await client.upgrade({ path: target, method: "GET", protocol });
      return rawOf(socket);
    },
    close: () => client.destroy(),
  };
}

function nodes(where: Where): Client {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const unix = where.path !== "";

  async function sendBody(request: http.ClientRequest, { body, trailers }: Ask): Promise<void> {
    if (typeof body !== "function") return void request.end(body);
    let answered = false;
    const over = Promise.race(["response", "close"].map((event) => once(request, event)));
    over.finally(() => answered = true).catch(() => {});
    for await (const piece of body()) {
      if (answered) return;
      if (!request.write(piece)) await Promise.race([over, once(request, "drain")]);
    }
    if (trailers) request.addTrailers(trailers);
    request.end();
  }

  function start(ask: Ask): http.ClientRequest {
    const { method = "GET", target = "/", fields = [], body, expect } = ask;
    const headers = [...fields]; // As a flat list they are sent as given, and `Host` is not added.
    if (!fields.some(([name]) => name === "Host")) headers.unshift(["Host", where.hostname]);
    if (expect) headers.push(["Expect", "100-continue"]);
    if (typeof body === "string") headers.push(["Content-Length", String(body.length)]);
    if (typeof body === "function") headers.push(["Transfer-Encoding", "chunked"]);
    const request = http.request({
      ...(unix ? { socketPath: where.path } : { host: where.hostname, port: where.port }),
      method,
      path: target,
      agent,
      headers: headers.flat(),
    });
    if (expect) {
      request.on("continue", () => sendBody(request, ask));
      request.flushHeaders();
    } else sendBody(request, ask).catch(() => {});
    return request;
  }

  return {
    ask(ask) {
      const interim: Answer["interim"] = [];
      const request = start(ask);
      request.on("information", ({ statusCode: status, rawHeaders }) => {
        interim.push({ status, fields: pairs(rawHeaders) });
      });
      return new Promise((resolve, reject) => {
        // An answer may still come behind an error of the upload.
        let failure = new Error("closed");
        request.on("error", (error) => failure = error);
        request.on("close", () => setTimeout(reject, 100, failure));
        request.on("response", (response) => {
          const pieces: Uint8Array[] = [];
          response.on("error", reject);
          response.on("aborted", () => reject(new Error("aborted")));
          response.on("data", (piece: Uint8Array) => pieces.push(piece));
          response.on("end", () => {
            if (!request.writableEnded) request.destroy(); // After an early answer.
            resolve({
              status: response.statusCode!,
              reason: response.statusMessage!,
              fields: pairs(response.rawHeaders),
              interim,
              trailers: pairs(response.rawTrailers),
              body: latin1(concat(pieces)),
            });
          });
        });
      });
    },
    takeOver(ask) {
      const request = start(ask);
      return new Promise((resolve, reject) => {
        request.on("error", reject);
        request.on("response", () => reject(new Error("an ordinary answer")));
        for (const event of ["connect", "upgrade"]) {
          request.on(event, (_response, socket, head) => resolve(rawOf(socket, head)));
        }
      });
    },
    close: () => agent.destroy(),
  };
}
