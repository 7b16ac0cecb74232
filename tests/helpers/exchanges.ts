/**
 * The short exchanges that most tests need.
 *
 * @module
 */
import type { HTTPConnection, HTTPResponse } from "../../mod.ts";

/** The options of one request. */
type RequestOptions = Parameters<HTTPConnection["request"]>[4];

/** Sends a GET and waits for the head of its response. */
export async function getResponse(
  conn: HTTPConnection,
  target = "/",
  options?: RequestOptions,
): Promise<HTTPResponse> {
  await conn.request("GET", target, null, {}, options);
  return await conn.getresponse();
}

/** Sends a GET and reads the response's body as UTF-8. */
export async function getText(
  conn: HTTPConnection,
  target = "/",
  options?: RequestOptions,
): Promise<string> {
  return await (await getResponse(conn, target, options)).text();
}

/** Sends a GET and reads the whole response: its status, and its body as UTF-8. */
export async function getStatusAndText(
  conn: HTTPConnection,
  target = "/",
): Promise<{ status: number; text: string }> {
  const response = await getResponse(conn, target);
  return { status: response.status, text: await response.text() };
}

/** Sends a POST and reads the response's body as UTF-8. */
export async function postText(
  conn: HTTPConnection,
  body: Parameters<HTTPConnection["request"]>[2],
  target = "/",
): Promise<string> {
  await conn.request("POST", target, body);
  return await (await conn.getresponse()).text();
}
