/**
 * The status codes of HTTP as constants, and their reason phrases. The names are those of Python's
 * `http.HTTPStatus`, old aliases included; the codes are registered by IANA.
 *
 * @module
 */

/**
 * The default port of HTTP. Python's `http.client.HTTP_PORT`.
 *
 * @category Status
 */
export const HTTP_PORT = 80;

/**
 * The default port of HTTPS. Python's `http.client.HTTPS_PORT`.
 *
 * @category Status
 */
export const HTTPS_PORT = 443;

/**
 * Every status code by its name, as Python's `http.HTTPStatus`, old aliases included.
 *
 * @category Status
 * @example Look up a code
 * ```ts
 * import { HTTPStatus } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(HTTPStatus.NOT_FOUND, 404);
 * ```
 */
export const HTTPStatus = {
  CONTINUE: 100,
  SWITCHING_PROTOCOLS: 101,
  PROCESSING: 102,
  EARLY_HINTS: 103,
  OK: 200,
  CREATED: 201,
  ACCEPTED: 202,
  NON_AUTHORITATIVE_INFORMATION: 203,
  NO_CONTENT: 204,
  RESET_CONTENT: 205,
  PARTIAL_CONTENT: 206,
  MULTI_STATUS: 207,
  ALREADY_REPORTED: 208,
  IM_USED: 226,
  MULTIPLE_CHOICES: 300,
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  NOT_MODIFIED: 304,
  USE_PROXY: 305,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
  BAD_REQUEST: 400,
  UNAUTHORIZED: 401,
  PAYMENT_REQUIRED: 402,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  NOT_ACCEPTABLE: 406,
  PROXY_AUTHENTICATION_REQUIRED: 407,
  REQUEST_TIMEOUT: 408,
  CONFLICT: 409,
  GONE: 410,
  LENGTH_REQUIRED: 411,
  PRECONDITION_FAILED: 412,
  CONTENT_TOO_LARGE: 413,
  REQUEST_ENTITY_TOO_LARGE: 413,
  URI_TOO_LONG: 414,
  REQUEST_URI_TOO_LONG: 414,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RANGE_NOT_SATISFIABLE: 416,
  REQUESTED_RANGE_NOT_SATISFIABLE: 416,
  EXPECTATION_FAILED: 417,
  IM_A_TEAPOT: 418,
  MISDIRECTED_REQUEST: 421,
  UNPROCESSABLE_CONTENT: 422,
  UNPROCESSABLE_ENTITY: 422,
  LOCKED: 423,
  FAILED_DEPENDENCY: 424,
  TOO_EARLY: 425,
  UPGRADE_REQUIRED: 426,
  PRECONDITION_REQUIRED: 428,
  TOO_MANY_REQUESTS: 429,
  REQUEST_HEADER_FIELDS_TOO_LARGE: 431,
  UNAVAILABLE_FOR_LEGAL_REASONS: 451,
  INTERNAL_SERVER_ERROR: 500,
  NOT_IMPLEMENTED: 501,
  BAD_GATEWAY: 502,
  SERVICE_UNAVAILABLE: 503,
  GATEWAY_TIMEOUT: 504,
  HTTP_VERSION_NOT_SUPPORTED: 505,
  VARIANT_ALSO_NEGOTIATES: 506,
  INSUFFICIENT_STORAGE: 507,
  LOOP_DETECTED: 508,
  NOT_EXTENDED: 510,
  NETWORK_AUTHENTICATION_REQUIRED: 511,
} as const;
Object.freeze(HTTPStatus);

/**
 * The name of a status code, such as `"NOT_FOUND"`.
 *
 * @category Status
 */
export type StatusName = keyof typeof HTTPStatus;

/**
 * The reason phrase of every status code. Python's `http.client.responses`.
 *
 * @category Status
 * @example Look up a phrase
 * ```ts
 * import { NOT_FOUND, responses } from "@denoports/http-client";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(responses[NOT_FOUND], "Not Found");
 * ```
 */
export const responses: Readonly<Record<number, string>> = Object.freeze({
  100: "Continue",
  101: "Switching Protocols",
  102: "Processing",
  103: "Early Hints",
  200: "OK",
  201: "Created",
  202: "Accepted",
  203: "Non-Authoritative Information",
  204: "No Content",
  205: "Reset Content",
  206: "Partial Content",
  207: "Multi-Status",
  208: "Already Reported",
  226: "IM Used",
  300: "Multiple Choices",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  305: "Use Proxy",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  418: "I'm a Teapot",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  451: "Unavailable For Legal Reasons",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  506: "Variant Also Negotiates",
  507: "Insufficient Storage",
  508: "Loop Detected",
  510: "Not Extended",
  511: "Network Authentication Required",
});

/**
 * 100 Continue.
 *
 * @category Status
 */
export const CONTINUE: 100 = HTTPStatus.CONTINUE;
/**
 * 101 Switching Protocols.
 *
 * @category Status
 */
export const SWITCHING_PROTOCOLS: 101 = HTTPStatus.SWITCHING_PROTOCOLS;
/**
 * 102 Processing.
 *
 * @category Status
 */
export const PROCESSING: 102 = HTTPStatus.PROCESSING;
/**
 * 103 Early Hints.
 *
 * @category Status
 */
export const EARLY_HINTS: 103 = HTTPStatus.EARLY_HINTS;
/**
 * 200 OK.
 *
 * @category Status
 */
export const OK: 200 = HTTPStatus.OK;
/**
 * 201 Created.
 *
 * @category Status
 */
export const CREATED: 201 = HTTPStatus.CREATED;
/**
 * 202 Accepted.
 *
 * @category Status
 */
export const ACCEPTED: 202 = HTTPStatus.ACCEPTED;
/**
 * 203 Non-Authoritative Information.
 *
 * @category Status
 */
export const NON_AUTHORITATIVE_INFORMATION: 203 = HTTPStatus.NON_AUTHORITATIVE_INFORMATION;
/**
 * 204 No Content.
 *
 * @category Status
 */
export const NO_CONTENT: 204 = HTTPStatus.NO_CONTENT;
/**
 * 205 Reset Content.
 *
 * @category Status
 */
export const RESET_CONTENT: 205 = HTTPStatus.RESET_CONTENT;
/**
 * 206 Partial Content.
 *
 * @category Status
 */
export const PARTIAL_CONTENT: 206 = HTTPStatus.PARTIAL_CONTENT;
/**
 * 207 Multi-Status.
 *
 * @category Status
 */
export const MULTI_STATUS: 207 = HTTPStatus.MULTI_STATUS;
/**
 * 208 Already Reported.
 *
 * @category Status
 */
export const ALREADY_REPORTED: 208 = HTTPStatus.ALREADY_REPORTED;
/**
 * 226 IM Used.
 *
 * @category Status
 */
export const IM_USED: 226 = HTTPStatus.IM_USED;
/**
 * 300 Multiple Choices.
 *
 * @category Status
 */
export const MULTIPLE_CHOICES: 300 = HTTPStatus.MULTIPLE_CHOICES;
/**
 * 301 Moved Permanently.
 *
 * @category Status
 */
export const MOVED_PERMANENTLY: 301 = HTTPStatus.MOVED_PERMANENTLY;
/**
 * 302 Found.
 *
 * @category Status
 */
export const FOUND: 302 = HTTPStatus.FOUND;
/**
 * 303 See Other.
 *
 * @category Status
 */
export const SEE_OTHER: 303 = HTTPStatus.SEE_OTHER;
/**
 * 304 Not Modified.
 *
 * @category Status
 */
export const NOT_MODIFIED: 304 = HTTPStatus.NOT_MODIFIED;
/**
 * 305 Use Proxy.
 *
 * @category Status
 */
export const USE_PROXY: 305 = HTTPStatus.USE_PROXY;
/**
 * 307 Temporary Redirect.
 *
 * @category Status
 */
export const TEMPORARY_REDIRECT: 307 = HTTPStatus.TEMPORARY_REDIRECT;
/**
 * 308 Permanent Redirect.
 *
 * @category Status
 */
export const PERMANENT_REDIRECT: 308 = HTTPStatus.PERMANENT_REDIRECT;
/**
 * 400 Bad Request.
 *
 * @category Status
 */
export const BAD_REQUEST: 400 = HTTPStatus.BAD_REQUEST;
/**
 * 401 Unauthorized.
 *
 * @category Status
 */
export const UNAUTHORIZED: 401 = HTTPStatus.UNAUTHORIZED;
/**
 * 402 Payment Required.
 *
 * @category Status
 */
export const PAYMENT_REQUIRED: 402 = HTTPStatus.PAYMENT_REQUIRED;
/**
 * 403 Forbidden.
 *
 * @category Status
 */
export const FORBIDDEN: 403 = HTTPStatus.FORBIDDEN;
/**
 * 404 Not Found.
 *
 * @category Status
 */
export const NOT_FOUND: 404 = HTTPStatus.NOT_FOUND;
/**
 * 405 Method Not Allowed.
 *
 * @category Status
 */
export const METHOD_NOT_ALLOWED: 405 = HTTPStatus.METHOD_NOT_ALLOWED;
/**
 * 406 Not Acceptable.
 *
 * @category Status
 */
export const NOT_ACCEPTABLE: 406 = HTTPStatus.NOT_ACCEPTABLE;
/**
 * 407 Proxy Authentication Required.
 *
 * @category Status
 */
export const PROXY_AUTHENTICATION_REQUIRED: 407 = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED;
/**
 * 408 Request Timeout.
 *
 * @category Status
 */
export const REQUEST_TIMEOUT: 408 = HTTPStatus.REQUEST_TIMEOUT;
/**
 * 409 Conflict.
 *
 * @category Status
 */
export const CONFLICT: 409 = HTTPStatus.CONFLICT;
/**
 * 410 Gone.
 *
 * @category Status
 */
export const GONE: 410 = HTTPStatus.GONE;
/**
 * 411 Length Required.
 *
 * @category Status
 */
export const LENGTH_REQUIRED: 411 = HTTPStatus.LENGTH_REQUIRED;
/**
 * 412 Precondition Failed.
 *
 * @category Status
 */
export const PRECONDITION_FAILED: 412 = HTTPStatus.PRECONDITION_FAILED;
/**
 * 413 Content Too Large.
 *
 * @category Status
 */
export const CONTENT_TOO_LARGE: 413 = HTTPStatus.CONTENT_TOO_LARGE;
/**
 * 413 Content Too Large, the old name of `CONTENT_TOO_LARGE`.
 *
 * @category Status
 */
export const REQUEST_ENTITY_TOO_LARGE: 413 = HTTPStatus.REQUEST_ENTITY_TOO_LARGE;
/**
 * 414 URI Too Long.
 *
 * @category Status
 */
export const URI_TOO_LONG: 414 = HTTPStatus.URI_TOO_LONG;
/**
 * 414 URI Too Long, the old name of `URI_TOO_LONG`.
 *
 * @category Status
 */
export const REQUEST_URI_TOO_LONG: 414 = HTTPStatus.REQUEST_URI_TOO_LONG;
/**
 * 415 Unsupported Media Type.
 *
 * @category Status
 */
export const UNSUPPORTED_MEDIA_TYPE: 415 = HTTPStatus.UNSUPPORTED_MEDIA_TYPE;
/**
 * 416 Range Not Satisfiable.
 *
 * @category Status
 */
export const RANGE_NOT_SATISFIABLE: 416 = HTTPStatus.RANGE_NOT_SATISFIABLE;
/**
 * 416 Range Not Satisfiable, the old name of `RANGE_NOT_SATISFIABLE`.
 *
 * @category Status
 */
export const REQUESTED_RANGE_NOT_SATISFIABLE: 416 = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE;
/**
 * 417 Expectation Failed.
 *
 * @category Status
 */
export const EXPECTATION_FAILED: 417 = HTTPStatus.EXPECTATION_FAILED;
/**
 * 418 I'm a Teapot.
 *
 * @category Status
 */
export const IM_A_TEAPOT: 418 = HTTPStatus.IM_A_TEAPOT;
/**
 * 421 Misdirected Request.
 *
 * @category Status
 */
export const MISDIRECTED_REQUEST: 421 = HTTPStatus.MISDIRECTED_REQUEST;
/**
 * 422 Unprocessable Content.
 *
 * @category Status
 */
export const UNPROCESSABLE_CONTENT: 422 = HTTPStatus.UNPROCESSABLE_CONTENT;
/**
 * 422 Unprocessable Content, the old name of `UNPROCESSABLE_CONTENT`.
 *
 * @category Status
 */
export const UNPROCESSABLE_ENTITY: 422 = HTTPStatus.UNPROCESSABLE_ENTITY;
/**
 * 423 Locked.
 *
 * @category Status
 */
export const LOCKED: 423 = HTTPStatus.LOCKED;
/**
 * 424 Failed Dependency.
 *
 * @category Status
 */
export const FAILED_DEPENDENCY: 424 = HTTPStatus.FAILED_DEPENDENCY;
/**
 * 425 Too Early.
 *
 * @category Status
 */
export const TOO_EARLY: 425 = HTTPStatus.TOO_EARLY;
/**
 * 426 Upgrade Required.
 *
 * @category Status
 */
export const UPGRADE_REQUIRED: 426 = HTTPStatus.UPGRADE_REQUIRED;
/**
 * 428 Precondition Required.
 *
 * @category Status
 */
export const PRECONDITION_REQUIRED: 428 = HTTPStatus.PRECONDITION_REQUIRED;
/**
 * 429 Too Many Requests.
 *
 * @category Status
 */
export const TOO_MANY_REQUESTS: 429 = HTTPStatus.TOO_MANY_REQUESTS;
/**
 * 431 Request Header Fields Too Large.
 *
 * @category Status
 */
export const REQUEST_HEADER_FIELDS_TOO_LARGE: 431 = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE;
/**
 * 451 Unavailable For Legal Reasons.
 *
 * @category Status
 */
export const UNAVAILABLE_FOR_LEGAL_REASONS: 451 = HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS;
/**
 * 500 Internal Server Error.
 *
 * @category Status
 */
export const INTERNAL_SERVER_ERROR: 500 = HTTPStatus.INTERNAL_SERVER_ERROR;
/**
 * 501 Not Implemented.
 *
 * @category Status
 */
export const NOT_IMPLEMENTED: 501 = HTTPStatus.NOT_IMPLEMENTED;
/**
 * 502 Bad Gateway.
 *
 * @category Status
 */
export const BAD_GATEWAY: 502 = HTTPStatus.BAD_GATEWAY;
/**
 * 503 Service Unavailable.
 *
 * @category Status
 */
export const SERVICE_UNAVAILABLE: 503 = HTTPStatus.SERVICE_UNAVAILABLE;
/**
 * 504 Gateway Timeout.
 *
 * @category Status
 */
export const GATEWAY_TIMEOUT: 504 = HTTPStatus.GATEWAY_TIMEOUT;
/**
 * 505 HTTP Version Not Supported.
 *
 * @category Status
 */
export const HTTP_VERSION_NOT_SUPPORTED: 505 = HTTPStatus.HTTP_VERSION_NOT_SUPPORTED;
/**
 * 506 Variant Also Negotiates.
 *
 * @category Status
 */
export const VARIANT_ALSO_NEGOTIATES: 506 = HTTPStatus.VARIANT_ALSO_NEGOTIATES;
/**
 * 507 Insufficient Storage.
 *
 * @category Status
 */
export const INSUFFICIENT_STORAGE: 507 = HTTPStatus.INSUFFICIENT_STORAGE;
/**
 * 508 Loop Detected.
 *
 * @category Status
 */
export const LOOP_DETECTED: 508 = HTTPStatus.LOOP_DETECTED;
/**
 * 510 Not Extended.
 *
 * @category Status
 */
export const NOT_EXTENDED: 510 = HTTPStatus.NOT_EXTENDED;
/**
 * 511 Network Authentication Required.
 *
 * @category Status
 */
export const NETWORK_AUTHENTICATION_REQUIRED: 511 = HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED;
