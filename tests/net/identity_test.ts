/**
 * The client's certificate and key, looked at before they are used.
 *
 * @module
 */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { identityOf } from "../../_internal/net/identity.ts";
import { CLIENT, LOCALHOST } from "../tls/mod.ts";

const KEY = createPrivateKey(CLIENT.key);

/** The client's key in another form. */
function exported(options: object): string {
  return KEY.export({ type: "pkcs8", format: "pem", ...options }) as string;
}

const CIPHER = { cipher: "aes-256-cbc", passphrase: "secret" };

for (
  const [what, key, context] of [
    ["in PKCS #8", CLIENT.key, {}],
    ["in SEC 1", exported({ type: "sec1" }), {}],
    ["that is not encrypted, with a password", CLIENT.key, { password: "secret" }],
    ["that is encrypted in PKCS #8", exported(CIPHER), { password: "secret" }],
    ["that is encrypted by Node's name for the password", exported(CIPHER), {
      passphrase: "secret",
    }],
  ] as const
) {
  Deno.test(`identityOf() gives the key in PKCS #8 when it is one ${what}`, () => {
    const identity = identityOf({ cert: CLIENT.cert, key, ...context });
    assertEquals(identity.cert, CLIENT.cert);
    assertEquals(createPrivateKey(identity.key).equals(KEY), true);
    assertMatch(identity.key, /^-----BEGIN PRIVATE KEY-----/);
  });
}

const GARBAGE = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

for (
  const [what, context, says] of [
    ["the key is encrypted and there is no password", { key: exported(CIPHER) }, "is encrypted"],
    ["the password is wrong", { key: exported(CIPHER), password: "other" }, "cannot be decrypted"],
    ["the key is garbage", { key: GARBAGE }, "the key of the context cannot be read"],
    ["the key is a certificate", { key: CLIENT.cert }, "the key of the context cannot be read"],
    ["the cert is garbage", { cert: "garbage" }, "the cert of the context cannot be read"],
    ["the cert is a key", { cert: CLIENT.key }, "the cert of the context cannot be read"],
    ["the key is that of another", { key: LOCALHOST.key }, "is not that of its cert"],
    [
      "the key is a new one",
      { key: other.export({ type: "pkcs8", format: "pem" }) as string },
      "is not that of its cert",
    ],
  ] as const
) {
  Deno.test(`identityOf() throws InvalidData when ${what}`, () => {
    assertThrows(() => identityOf({ ...CLIENT, ...context }), Deno.errors.InvalidData, says);
  });
}
