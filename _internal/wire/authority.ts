/**
 * Hosts and ports: how they are given, and how they are spelled in a request.
 *
 * @module
 */
import { InvalidURL } from "../../errors.ts";
import { checkHost } from "./grammar.ts";
import { withoutUserInfo } from "./inspect.ts";
import { show } from "./option_check.ts";

/** A host without brackets, and a port. */
export interface HostPort {
  host: string;
  port: number;
}

/**
 * Splits `"host:port"` unless a port is given, as CPython does: the last colon counts if it stands
 * after the last bracket, and an empty port is the default one.
 *
 * @throws {InvalidURL} When the port is no number, or the host has a control character or a space.
 */
export function splitHostPort(
  host: string,
  port: number | null | undefined,
  defaultPort: number,
): HostPort {
  checkHost(host);
  let number = port ?? defaultPort;
  const colon = host.lastIndexOf(":");
  if ((port === null || port === undefined) && colon > host.lastIndexOf("]")) {
    const digits = host.slice(colon + 1);
    if (!/^[0-9]*$/.test(digits)) {
      // Not shown: it has a password.
      if (digits.includes("@")) {
        throw new InvalidURL(
          "Cannot use host as it must have no user and password: send an Authorization field",
        );
      }
      const hint = host.includes("//") ? "; a URL as the host must be a URL object" : "";
      throw new InvalidURL(
        `Cannot use port as it must be a number: got ${JSON.stringify(digits)}${hint}`,
      );
    }
    if (digits !== "") number = Number(digits);
    host = host.slice(0, colon);
  }
  if (!Number.isInteger(number) || number < 0 || number > 65535) {
    throw new InvalidURL(
      `Cannot use port as it must be a whole number from 0 to 65535: got ${show(number)}`,
    );
  }
  if (host.startsWith("[") && host.endsWith("]")) host = host.slice(1, -1);
  return { host, port: number };
}

/** Splits `"address:port"`; an IPv6 address may stand without brackets, and then has no port. */
export function splitAddress(address: string, defaultPort: number): HostPort {
  const alone = address.indexOf(":") !== address.lastIndexOf(":") && !address.startsWith("[");
  return splitHostPort(address, alone ? defaultPort : null, defaultPort);
}

/** A host in US-ASCII: by UTS #46 where it is not. */
export function toAscii(host: string): string {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(host)) return host;
  // What delimits a URL's other parts would cut the name short.
  const url = `http://${host}`;
  if (!/[/?#@\\:%]/.test(host) && URL.canParse(url)) return new URL(url).hostname;
  throw new InvalidURL(`Cannot use host as it must be a domain name: got ${JSON.stringify(host)}`);
}

/** uri-host (RFC 9110, Section 7.2): an IPv6 address in brackets, and without its scope. */
export function uriHost(host: string): string {
  const ascii = toAscii(host);
  if (!ascii.includes(":") || ascii.startsWith("[")) return ascii;
  return `[${ascii.replace(/%.*$/, "")}]`;
}

/** The value of `Host`: the port is left out where it is the default one. */
export function hostField({ host, port }: HostPort, defaultPort: number): string {
  return port === defaultPort ? uriHost(host) : `${uriHost(host)}:${port}`;
}

/**
 * The `Host` for a target in absolute-form: its authority, without the userinfo, which must not be
 * generated (RFC 9110, Section 4.2.4); for that of a CONNECT the target itself (Section 7.2). `null` for
 * the other forms.
 */
export function authorityOf(method: string, target: string): string | null {
  if (method === "CONNECT" && /^[^/?#@]+:[0-9]+$/.test(target)) return target;
  if (!target.startsWith("http")) return null;
  const match = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(target);
  if (match === null || match[1] === "") return null;
  const authority = match[1]!.slice(match[1]!.lastIndexOf("@") + 1);
  if (authority.includes("[") !== authority.includes("]")) {
    throw new TypeError(
      `Cannot send request: the target ${JSON.stringify(withoutUserInfo(target))} is no URL`,
    );
  }
  return authority.replace(/^(\[[^\]%]*)%[^\]]*\]/, "$1]");
}

/** The URL of a target: absolute where the target is a path, else the target. */
export function urlOf(target: string, host: string, secure: boolean): string {
  if (!target.startsWith("/") && target !== "*") return target;
  return `${secure ? "https://" : "http://"}${host}${target === "*" ? "" : target}`;
}
