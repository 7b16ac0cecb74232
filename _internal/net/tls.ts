/**
 * TLS: how it is done.
 *
 * @module
 */

/**
 * How TLS is done. Verification is on unless it is switched off here.
 *
 * @category Connections
 *
 * @example Trust one CA and no other, and show a client certificate
 * ```ts
 * import { HTTPSConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const [ca, cert, key, clientCert, clientKey] = await Promise.all(
 *   ["ca.pem", "localhost.pem", "localhost.key", "client.pem", "client.key"].map((name) =>
 *     Deno.readTextFile(`tests/tls/${name}`)
 *   ),
 * );
 * const options = { port: 0, cert, key, onListen() {} };
 * await using server = Deno.serve(options, () => new Response("hello"));
 *
 * using conn = new HTTPSConnection("localhost", server.addr.port, {
 *   context: { caCerts: [ca], load_default_certs: false, cert: clientCert, key: clientKey },
 *   timeout: 10,
 * });
 * await conn.request("GET", "/");
 * assertEquals(await (await conn.getresponse()).text(), "hello");
 * ```
 *
 * @example Use a key that is encrypted
 * ```ts
 * import { HTTPSConnection } from "@denoports/http-client";
 * import { createPrivateKey } from "node:crypto";
 * import { assertEquals } from "@std/assert";
 *
 * const [ca, cert, key, clientCert, clientKey] = await Promise.all(
 *   ["ca.pem", "localhost.pem", "localhost.key", "client.pem", "client.key"].map((name) =>
 *     Deno.readTextFile(`tests/tls/${name}`)
 *   ),
 * );
 * const encrypted = createPrivateKey(clientKey).export({
 *   type: "pkcs8",
 *   format: "pem",
 *   cipher: "aes-256-cbc",
 *   passphrase: "secret",
 * }) as string;
 * const options = { port: 0, cert, key, onListen() {} };
 * await using server = Deno.serve(options, () => new Response("hello"));
 *
 * // Python has `password`, Node has `passphrase`.
 * for (const password of [{ password: "secret" }, { passphrase: "secret" }]) {
 *   using conn = new HTTPSConnection("localhost", server.addr.port, {
 *     context: { caCerts: [ca], cert: clientCert, key: encrypted, ...password },
 *     timeout: 10,
 *   });
 *   await conn.request("GET", "/");
 *   assertEquals(await (await conn.getresponse()).text(), "hello");
 * }
 * ```
 *
 * @example Verify another name than the host, or none
 * ```ts
 * import { HTTPSConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * const [ca, cert, key] = await Promise.all(
 *   ["ca.pem", "localhost.pem", "localhost.key"].map((name) =>
 *     Deno.readTextFile(`tests/tls/${name}`)
 *   ),
 * );
 * const options = { port: 0, cert, key, onListen() {} };
 * await using server = Deno.serve(options, () => new Response("hello"));
 *
 * for (
 *   const context of [
 *     { caCerts: [ca], server_hostname: "localhost" },
 *     { caCerts: [ca], check_hostname: false },
 *     { verify_mode: "CERT_NONE" } as const,
 *   ]
 * ) {
 *   using conn = new HTTPSConnection("service.internal", server.addr.port, {
 *     address: "127.0.0.1",
 *     context,
 *     timeout: 10,
 *   });
 *   await conn.request("GET", "/");
 *   assertEquals(await (await conn.getresponse()).text(), "hello");
 * }
 * ```
 *
 * @example Talk to a server that ends TLS without saying so
 * ```ts
 * import { HTTPSConnection } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * using conn = new HTTPSConnection("old.example", {
 *   context: { suppress_ragged_eofs: true, alpnProtocols: ["http/1.1"] },
 * });
 * assertEquals(conn.port, 443);
 * ```
 */
export interface TLSContext {
  /**
   * Certificates to trust, each in PEM: beside those that Deno trusts, or alone, as
   * `load_default_certs` says.
   */
  caCerts?: string[];
  /**
   * Whether the certificates that Deno trusts are trusted: its own, those of `--cert`, `DENO_CERT` and
   * `DENO_TLS_CA_STORE`. With `false`, nothing but `caCerts` is.
   *
   * @default {true}
   */
  load_default_certs?: boolean;
  /** The client's certificate chain, in PEM; with `key`. */
  cert?: string;
  /** The client's private key, in PEM; with `cert`. */
  key?: string;
  /** The password of the key, if that is encrypted. */
  password?: string;
  /** The same by Node's name for it. */
  passphrase?: string;
  /**
   * The protocols to offer by ALPN. A server that picks another one than `http/1.1` is refused.
   *
   * @default {["http/1.1"]}
   */
  alpnProtocols?: string[];
  /** The name for SNI and verification, where it is not the host. */
  server_hostname?: string;
  /**
   * Whether the certificate must be for the server's name.
   *
   * @default {true}
   */
  check_hostname?: boolean;
  /**
   * Whether the certificate must come from a trusted CA. `"CERT_NONE"` is Python's unverified context:
   * anyone can be the server.
   *
   * @default {"CERT_REQUIRED"}
   */
  verify_mode?: "CERT_REQUIRED" | "CERT_NONE";
  /**
   * Whether TLS that ends without `close_notify` is an end like any other, Python's name. A body that
   * lasts until the connection ends may then be cut off by anybody on the way (RFC 9112, Section 9.8).
   *
   * @default {false}
   */
  suppress_ragged_eofs?: boolean;
}

/** What is offered by ALPN unless the context says otherwise, and the only protocol that is spoken. */
export const HTTP_1_1 = "http/1.1";

/**
 * Refuses certificates that cannot be read: Deno's TLS ignores them.
 *
 * @throws {TypeError} When one is not made of certificates in PEM.
 */
export function checkCertificates(caCerts: readonly string[]): void {
  for (const pem of caCerts) {
    const blocks = [...pem.matchAll(PEM_CERTIFICATE)];
    if (blocks.length === 0 || !blocks.every(([, base64]) => isSequence(base64!))) {
      throw new TypeError("Cannot use context: caCerts has an entry that is no certificate in PEM");
    }
  }
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g;

/** Whether this is one whole SEQUENCE in DER, as a certificate is (RFC 5280, Section 4.1). */
function isSequence(base64: string): boolean {
  let der: string;
  try {
    der = atob(base64);
  } catch {
    return false;
  }
  const first = der.charCodeAt(1);
  // X.690, Section 8.1.3: a length over 127 is the number of the bytes that follow with it.
  const more = first > 127 ? first - 128 : 0;
  let length = first > 127 ? 0 : first;
  for (let i = 0; i < more; i++) length = length * 256 + der.charCodeAt(2 + i);
  return der.charCodeAt(0) === 0x30 && der.length === 2 + more + length;
}
