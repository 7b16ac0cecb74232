/**
 * Status codes and reason phrases, entry by entry those of CPython 3.13's `http.HTTPStatus`.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import * as http from "../../mod.ts";
import { HTTP_PORT, HTTPS_PORT, HTTPStatus, responses } from "../../mod.ts";

/** Code, name, phrase. */
const STATUSES: [code: number, name: string, phrase: string][] = [
  [100, "CONTINUE", "Continue"],
  [101, "SWITCHING_PROTOCOLS", "Switching Protocols"],
  [102, "PROCESSING", "Processing"],
  [103, "EARLY_HINTS", "Early Hints"],
  [200, "OK", "OK"],
  [201, "CREATED", "Created"],
  [202, "ACCEPTED", "Accepted"],
  [203, "NON_AUTHORITATIVE_INFORMATION", "Non-Authoritative Information"],
  [204, "NO_CONTENT", "No Content"],
  [205, "RESET_CONTENT", "Reset Content"],
  [206, "PARTIAL_CONTENT", "Partial Content"],
  [207, "MULTI_STATUS", "Multi-Status"],
  [208, "ALREADY_REPORTED", "Already Reported"],
  [226, "IM_USED", "IM Used"],
  [300, "MULTIPLE_CHOICES", "Multiple Choices"],
  [301, "MOVED_PERMANENTLY", "Moved Permanently"],
  [302, "FOUND", "Found"],
  [303, "SEE_OTHER", "See Other"],
  [304, "NOT_MODIFIED", "Not Modified"],
  [305, "USE_PROXY", "Use Proxy"],
  [307, "TEMPORARY_REDIRECT", "Temporary Redirect"],
  [308, "PERMANENT_REDIRECT", "Permanent Redirect"],
  [400, "BAD_REQUEST", "Bad Request"],
  [401, "UNAUTHORIZED", "Unauthorized"],
  [402, "PAYMENT_REQUIRED", "Payment Required"],
  [403, "FORBIDDEN", "Forbidden"],
  [404, "NOT_FOUND", "Not Found"],
  [405, "METHOD_NOT_ALLOWED", "Method Not Allowed"],
  [406, "NOT_ACCEPTABLE", "Not Acceptable"],
  [407, "PROXY_AUTHENTICATION_REQUIRED", "Proxy Authentication Required"],
  [408, "REQUEST_TIMEOUT", "Request Timeout"],
  [409, "CONFLICT", "Conflict"],
  [410, "GONE", "Gone"],
  [411, "LENGTH_REQUIRED", "Length Required"],
  [412, "PRECONDITION_FAILED", "Precondition Failed"],
  [413, "CONTENT_TOO_LARGE", "Content Too Large"],
  [414, "URI_TOO_LONG", "URI Too Long"],
  [415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type"],
  [416, "RANGE_NOT_SATISFIABLE", "Range Not Satisfiable"],
  [417, "EXPECTATION_FAILED", "Expectation Failed"],
  [418, "IM_A_TEAPOT", "I'm a Teapot"],
  [421, "MISDIRECTED_REQUEST", "Misdirected Request"],
  [422, "UNPROCESSABLE_CONTENT", "Unprocessable Content"],
  [423, "LOCKED", "Locked"],
  [424, "FAILED_DEPENDENCY", "Failed Dependency"],
  [425, "TOO_EARLY", "Too Early"],
  [426, "UPGRADE_REQUIRED", "Upgrade Required"],
  [428, "PRECONDITION_REQUIRED", "Precondition Required"],
  [429, "TOO_MANY_REQUESTS", "Too Many Requests"],
  [431, "REQUEST_HEADER_FIELDS_TOO_LARGE", "Request Header Fields Too Large"],
  [451, "UNAVAILABLE_FOR_LEGAL_REASONS", "Unavailable For Legal Reasons"],
  [500, "INTERNAL_SERVER_ERROR", "Internal Server Error"],
  [501, "NOT_IMPLEMENTED", "Not Implemented"],
  [502, "BAD_GATEWAY", "Bad Gateway"],
  [503, "SERVICE_UNAVAILABLE", "Service Unavailable"],
  [504, "GATEWAY_TIMEOUT", "Gateway Timeout"],
  [505, "HTTP_VERSION_NOT_SUPPORTED", "HTTP Version Not Supported"],
  [506, "VARIANT_ALSO_NEGOTIATES", "Variant Also Negotiates"],
  [507, "INSUFFICIENT_STORAGE", "Insufficient Storage"],
  [508, "LOOP_DETECTED", "Loop Detected"],
  [510, "NOT_EXTENDED", "Not Extended"],
  [511, "NETWORK_AUTHENTICATION_REQUIRED", "Network Authentication Required"],
];

/** Old names that CPython keeps. */
const ALIASES: [code: number, name: string][] = [
  [413, "REQUEST_ENTITY_TOO_LARGE"],
  [414, "REQUEST_URI_TOO_LONG"],
  [416, "REQUESTED_RANGE_NOT_SATISFIABLE"],
  [422, "UNPROCESSABLE_ENTITY"],
];

const exported = http as unknown as Record<string, unknown>;
const NAMES = [...STATUSES, ...ALIASES].map(([, name]) => name);

for (const [code, name, phrase] of STATUSES) {
  Deno.test(`HTTPStatus has ${code} as ${name}, ${phrase}`, () => {
    assertEquals([exported[name], (HTTPStatus as Record<string, number>)[name]], [code, code]);
    assertEquals(responses[code], phrase);
  });
}

for (const [code, name] of ALIASES) {
  Deno.test(`HTTPStatus has ${name} as an old name of ${code}`, () => {
    assertEquals([exported[name], (HTTPStatus as Record<string, number>)[name]], [code, code]);
  });
}

Deno.test("HTTPStatus has 62 codes, and no more names", () => {
  assertEquals(STATUSES.length, 62);
  assertEquals(Object.keys(HTTPStatus).sort(), [...NAMES].sort());
  assertEquals(new Set(Object.values(HTTPStatus)).size, 62);
});

Deno.test("responses has the 62 phrases, and nothing else", () => {
  const phrases = Object.fromEntries(STATUSES.map(([code, , phrase]) => [String(code), phrase]));
  assertEquals({ ...responses } as Record<string, string>, phrases);
});

Deno.test("responses has no phrase for a code that is not registered", () => {
  assertEquals([responses[306], responses[299], responses[0]], [undefined, undefined, undefined]);
});

Deno.test("mod.ts exports the numbers by their names, and the two ports", () => {
  const numbers = Object.keys(exported).filter((name) => typeof exported[name] === "number");
  assertEquals(numbers.sort(), [...NAMES, "HTTP_PORT", "HTTPS_PORT"].sort());
});

Deno.test("HTTP_PORT and HTTPS_PORT are 80 and 443", () => {
  assertEquals<number[]>([HTTP_PORT, HTTPS_PORT], [80, 443]);
});

Deno.test("HTTPStatus and responses cannot be changed", () => {
  assertThrows(() => {
    (HTTPStatus as Record<string, number>).OK = 1;
  }, TypeError);
  assertThrows(() => {
    (responses as Record<number, string>)[200] = "x";
  }, TypeError);
});
