/**
 * TLS: how it is done, and what its errors mean.
 *
 * @module
 */

/**
 * How TLS is done. Verification is on unless it is switched off here.
 * `caCerts` are trusted beside the roots that Deno trusts.
 */
export interface TLSContext {
  /** Certificates to trust, each in PEM. */
  caCerts?: string[];
  /** The client's certificate chain, in PEM; with `key`. */
  cert?: string;
  /** The client's private key, in PEM; with `cert`. */
  key?: string;
  /**
   * The protocols to offer by ALPN.
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

/** What the messages of the TLS implementations mean, in one line each. */
const TLS_PROBLEMS: [pattern: RegExp, meaning: string][] = [
  [/UnknownIssuer|SELF_SIGNED/, "its issuer is not trusted"],
  // Deno's node:tls says the same of either.
  [/UNABLE_TO_|unable to (verify|get)/, "its issuer is not trusted, or it has expired"],
  [/certificate expired|CERT_HAS_EXPIRED/, "it has expired"],
  [/not valid yet|CERT_NOT_YET_VALID/, "it is not valid yet"],
  [/not valid for (any )?name|ALTNAME_INVALID/, "it is for another name"],
  [/CaUsedAsEndEntity/, "it is a CA's own certificate"],
];

/** An error of a handshake, in words; the original is the cause. */
export function explainTls(error: unknown, hostname: string): unknown {
  if (!(error instanceof Error)) return error;
  const text = `${(error as { code?: string }).code ?? ""} ${error.message}`;
  const found = TLS_PROBLEMS.find(([pattern]) => pattern.test(text));
  const where = `Cannot establish TLS with ${hostname}`;
  if (found !== undefined) {
    const message = `${where}: the certificate was refused, ${found[1]} (${error.message})`;
    return new Deno.errors.InvalidData(message, { cause: error });
  }
  if (/InvalidContentType|wrong version number|packet length/i.test(text)) {
    const message = `${where}: the server does not speak TLS on this port (${error.message})`;
    return new Deno.errors.InvalidData(message, { cause: error });
  }
  if (error instanceof Deno.errors.InvalidData) {
    return new Deno.errors.InvalidData(`${where}: ${error.message}`, { cause: error });
  }
  return error;
}
