/**
 * Plays a message vector on this library.
 *
 * @module
 */
import { type HTTPMessage, LineReader, parse_headers } from "../../mod.ts";
import { SegmentTransport } from "./transports.ts";
import { type Call, type MessageVector, toBytes } from "./vectors.ts";

type Method = (...args: unknown[]) => unknown;

function perform(message: HTTPMessage, [name, ...args]: Call): unknown {
  switch (name) {
    case "size":
      return message.size;
    case "item":
      return message.get(args[0] as string);
    case "delete":
      message.delete(args[0] as string);
      return null;
    case "add_header": {
      const [field, value, params] = args as [string, string | null, [string, string | null][]?];
      message.add_header(field, value, Object.fromEntries(params ?? []));
      return null;
    }
    case "as_bytes":
      return String.fromCharCode(...message.as_bytes());
    case "raw_items":
      return [...message.raw_items()];
    default: {
      const method = (message as unknown as Record<string, Method>)[name];
      return method.apply(message, args) ?? null;
    }
  }
}

/** This library's answer to a vector. */
export async function playMessage(vector: MessageVector): Promise<unknown[]> {
  const source = new SegmentTransport([toBytes(`${vector.raw}\r\n`)]);
  const message = await parse_headers(new LineReader(source));
  return vector.calls.map((call) => {
    try {
      return perform(message, call);
    } catch (error) {
      return { x: (error as Error).name };
    }
  });
}
