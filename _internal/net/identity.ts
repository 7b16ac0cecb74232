/**
 * The client's certificate and key, and the certificates to trust, looked at: the TLS implementations leave
 * out what they cannot read, call it an unsupported protocol, or blame the server. Loaded only where that
 * may be.
 *
 * @module
 */
import { errors } from "../../errors.ts";
import type { KeyObject, X509Certificate as Certificate } from "node:crypto";
import { socketError } from "./platform.ts";
import type { TLSContext } from "./tls.ts";

// A bundle that is not split has this module in it, and loads at once what it imports in any other way.
const { createPrivateKey, X509Certificate } = await import("node:crypto");

/** What the client shows. */
export interface Identity {
  /** The certificate chain, in PEM. */
  cert: string;
  /** Its key as PKCS #8 in PEM, not encrypted. */
  key: string;
}

/**
 * The identity that a context has.
 *
 * @throws {Deno.errors.InvalidData} When it cannot be used.
 */
export function identityOf(context: TLSContext): Identity {
  const cert = context.cert!;
  const key = readKey(context.key!, context.password ?? context.passphrase);
  let certificate: Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch (cause) {
    throw socketError(errors.InvalidData, "the cert of the context cannot be read", cause);
  }
  if (!certificate.checkPrivateKey(key)) {
    throw new errors.InvalidData("the key of the context is not that of its cert");
  }
  return { cert, key: key.export({ type: "pkcs8", format: "pem" }) as string };
}

function readKey(key: string, password: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key, passphrase: password });
  } catch (cause) {
    throw socketError(errors.InvalidData, `the key of the context ${whyNot(key, password)}`, cause);
  }
}

/** RFC 7468, Section 11; RFC 1421, Section 4.6.1.1. */
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: *4, *ENCRYPTED/m;

function whyNot(key: string, password: string | undefined): string {
  if (!ENCRYPTED.test(key)) return "cannot be read";
  if (password === undefined) return "is encrypted, and there is no password";
  return "cannot be decrypted: the password is wrong, or this platform lacks the cipher";
}

/**
 * Looks at certificates that are to be trusted.
 *
 * @throws {Deno.errors.InvalidData} When one cannot be read.
 */
export function checkReadable(caCerts: readonly string[]): void {
  for (const [block] of caCerts.flatMap((pem) => [...pem.matchAll(CERTIFICATE)])) {
    try {
      new X509Certificate(block);
    } catch (cause) {
      throw socketError(errors.InvalidData, "a certificate of caCerts cannot be read", cause);
    }
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
