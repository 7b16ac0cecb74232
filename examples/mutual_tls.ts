/**
 * Mutual TLS: the client has a certificate, too. In TLS 1.3 the handshake is over for the client before the
 * server has looked at it, so a refusal may come with the answer: in the phase `send` or `head`, as an alert
 * or as the end of the connection. Without arguments it checks itself.
 *
 *     deno run -A examples/mutual_tls.ts
 *     deno run -A examples/mutual_tls.ts https://internal.example/ client.pem client.key ca.pem
 *
 * @module
 */
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { HTTPSConnection, isExchangeError, type TLSContext } from "@denoports/http-client";
import { assert, assertEquals, assertRejects } from "@std/assert";

/** The status and the text of a URL. */
async function get(url: URL, context: TLSContext): Promise<string> {
  using conn = new HTTPSConnection(new URL(url.origin), {
    context,
    deadlines: { connect: 10, tls: 10, head: 30 },
    maxBodyBytes: 10 << 20,
  });
  await conn.request("GET", url);
  const response = await conn.getresponse();
  return `${response.status} ${await response.text()}`;
}

async function selfCheck(): Promise<void> {
  const { CA, CLIENT, LOCALHOST, UNKNOWN_CLIENT } = await import("../tests/tls/mod.ts");
  const options = { ...LOCALHOST, ca: CA, requestCert: true, rejectUnauthorized: true };
  const server = createServer(options, (request, response) => {
    const socket = request.socket as TLSSocket;
    response.end(`hello, ${socket.getPeerCertificate().subject?.CN}`);
  });
  server.on("tlsClientError", () => {}); // a client that was refused
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = new URL(`https://localhost:${(server.address() as AddressInfo).port}/`);
  const caCerts = [CA];

  const text = await get(url, { caCerts, ...CLIENT });
  console.log(text);
  assertEquals(text, "200 hello, http-client test client");

  // No certificate, and one of an authority that the server does not trust.
  for (const context of [{ caCerts }, { caCerts, ...UNKNOWN_CLIENT }]) {
    const error = await assertRejects(() => get(url, context));
    assert(isExchangeError(error) && ["tls", "send", "head"].includes(error.phase));
    console.log(`refused, as it should be: ${error.message} (phase ${error.phase})`);
  }
  // A key of another certificate is refused before anything is sent.
  await assertRejects(() => get(url, { caCerts, cert: CLIENT.cert, key: LOCALHOST.key }));
  server.close();
  console.log(
    "checked: a client certificate; refusals of none, of an unknown one and of a wrong key",
  );
}

if (import.meta.main) {
  const [url, cert, key, ca] = Deno.args;
  if (url === undefined) await selfCheck();
  else {
    const text = await get(new URL(url), {
      cert: await Deno.readTextFile(cert),
      key: await Deno.readTextFile(key),
      ...(ca === undefined ? {} : { caCerts: [await Deno.readTextFile(ca)] }),
    });
    console.log(text);
  }
}
