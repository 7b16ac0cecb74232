/**
 * Plays a response vector on this library.
 *
 * @module
 */
import { HTTPResponse } from "../../mod.ts";
import { SegmentTransport } from "./transports.ts";
import {
  type Call,
  type ResponseAnswer,
  type ResponseVector,
  type Result,
  type Thrown,
  toBytes,
  toText,
} from "./vectors.ts";

/** A way of getting the bytes to the library; a number is where they are cut in two. */
export type Delivery = "whole" | "stream" | "bytewise" | number;

/** An error of ours, with the fields that a user can see. */
export function describe(error: unknown): Thrown {
  const known = error as Record<string, unknown> & Error;
  const thrown: Thrown = { x: known.name };
  if (known.partial instanceof Uint8Array) {
    thrown.partial = toText(known.partial);
    thrown.expected = known.expected as number | null;
  }
  if (typeof known.line === "string") thrown.line = known.line;
  if (typeof known.version === "string") thrown.version = known.version;
  if (typeof known.status === "number") thrown.status = known.status;
  if (typeof known.reason === "string") thrown.reason = known.reason;
  if (known.cause instanceof Error && known.cause.name === "ProtocolError") {
    thrown.cause = known.cause.name;
  }
  return thrown;
}

function source(vector: ResponseVector, delivery: Delivery) {
  const bytes = toBytes(vector.bytes);
  if (delivery === "stream") return new Blob([bytes]).stream();
  if (delivery === "whole") return new SegmentTransport([bytes]);
  if (delivery === "bytewise") {
    const pieces = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
    return new SegmentTransport(pieces);
  }
  return new SegmentTransport([bytes.subarray(0, delivery), bytes.subarray(delivery)]);
}

async function iterate(response: HTTPResponse): Promise<string> {
  let text = "";
  for await (const chunk of response) text += toText(chunk);
  return text;
}

/** One call on the response. */
async function perform(response: HTTPResponse, [name, ...args]: Call): Promise<Result> {
  const size = args[0] as number | undefined;
  switch (name) {
    case "read":
      return toText(await response.read(size));
    case "readinto": {
      const buffer = new Uint8Array(size!);
      const n = await response.readinto(buffer);
      return { n, b: toText(buffer.subarray(0, n)) };
    }
    case "readline":
      return toText(await response.readline(size));
    case "readlines":
      return { l: (await response.readlines(size)).map(toText) };
    case "read1":
      return toText(await response.read1(size));
    case "peek":
      return toText(await response.peek(size));
    case "iter":
      return await iterate(response);
    case "lines": {
      const lines: string[] = [];
      for await (const line of response.lines()) lines.push(toText(line));
      return { l: lines };
    }
    case "getheader": {
      const [field, ...rest] = args as [string, ...[unknown?]];
      return { v: response.getheader(field, ...rest as [string]) };
    }
    case "close":
      response.close();
      return null;
    default:
      throw new Error(`No such call: ${name}`);
  }
}

/** This library's answer to a vector. */
export async function playResponse(
  vector: ResponseVector,
  delivery: Delivery,
): Promise<ResponseAnswer> {
  const response = new HTTPResponse(source(vector, delivery), { method: vector.method });
  try {
    await response.begin();
  } catch (error) {
    return { x: describe(error) };
  }
  const { status, reason, version, will_close, chunked, length } = response;
  const answer: ResponseAnswer = {
    head: [status, reason, version, will_close, chunked, length, response.getheaders()],
    out: [],
    state: "",
  };
  let failed = false;
  for (const call of vector.calls) {
    try {
      answer.out!.push(await perform(response, call));
    } catch (error) {
      failed = true;
      answer.out!.push(describe(error));
    }
    answer.state += String(Number(response.isclosed()) + 2 * Number(response.closed));
  }
  if (!failed) answer.left = response.length;
  return answer;
}
