/**
 * The TLS files of this folder, read once. `README.md` beside this file says what each one is.
 *
 * @module
 */

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  /** The certificate. */
  readonly cert: string;
  /** The private key, PKCS#8. */
  readonly key: string;
}

function read(name: string): string {
  return Deno.readTextFileSync(new URL(name, import.meta.url));
}

function pair(name: string): KeyPair {
  return { cert: read(`./${name}.pem`), key: read(`./${name}.key`) };
}

/** The authority that the tests trust. */
export const CA: string = read("./ca.pem");

/** An authority that signed {@linkcode UNKNOWN_ISSUER} and {@linkcode UNKNOWN_CLIENT} only. */
export const UNKNOWN_CA: string = read("./unknown_ca.pem");

/** A good server certificate for `localhost`, `127.0.0.1` and `::1`. */
export const LOCALHOST: KeyPair = pair("localhost");

/** A server certificate for `other.example.test` only. */
export const WRONG_NAME: KeyPair = pair("wrong_name");

/** A server certificate for `localhost` that was valid in 2001 only. */
export const EXPIRED: KeyPair = pair("expired");

/** A server certificate for `localhost` that {@linkcode CA} did not sign. */
export const UNKNOWN_ISSUER: KeyPair = pair("unknown_issuer");

/** A client certificate with the common name `http-client test client`. */
export const CLIENT: KeyPair = pair("client");

/** A client certificate that {@linkcode CA} did not sign. */
export const UNKNOWN_CLIENT: KeyPair = pair("unknown_client");
