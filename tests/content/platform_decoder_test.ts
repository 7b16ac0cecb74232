/**
 * The decoders of the platform: which there are, and how far they decode.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import zlib from "node:zlib";
import { type DecoderName, Decoders, type Zlib } from "../../_internal/content/platform_decoder.ts";
import { br, type Coder, deflate, raw, zstd } from "../helpers/coded_responses.ts";

const ALL = zlib as unknown as Zlib;
const pace = () => undefined;

const DECODERS: [DecoderName, string, Coder][] = [
  ["createInflate", "deflate", deflate],
  ["createInflateRaw", "gzip", raw],
  ["createBrotliDecompress", "br", br],
  ["createZstdDecompress", "zstd", zstd],
];

for (const [name, coding, code] of DECODERS) {
  Deno.test(`of() throws NotSupported when the platform lacks ${name}()`, () => {
    const { [name]: _, ...rest } = { ...ALL };
    for (const platform of [rest as Zlib, undefined]) {
      assertThrows(
        () => Decoders.of(platform, name, coding, pace),
        Deno.errors.NotSupported,
        `${coding} needs ${name}() of node:zlib`,
      );
    }
  });

  Deno.test(`open() throws NotSupported when ${name}() of the platform throws`, () => {
    const reason = new TypeError("It is not a constructor");
    const platform = {
      ...ALL,
      [name]: () => {
        throw reason;
      },
    };
    const error = assertThrows(
      () => Decoders.of(platform, name, coding, pace).open(),
      Deno.errors.NotSupported,
      `${coding} needs ${name}() of node:zlib`,
    );
    assertEquals(error.cause, reason);
  });

  Deno.test(`decode() decodes no further ahead than two pieces: ${name}()`, async () => {
    let pieces = 0;
    const counting = {
      ...ALL,
      [name]: (options: Record<string, unknown>) => {
        const stream = ALL[name]!(options);
        const push = stream.push.bind(stream);
        stream.push = (piece) => {
          if (piece !== null) pieces++;
          return push(piece);
        };
        return stream;
      },
    };
    const decoder = Decoders.of(counting, name, coding, pace).open();
    const content = decoder.decode(code(new Uint8Array(10_000_000)));
    for (let read = 1; read < 20; read++) {
      await content.next();
      await new Promise((resolve) => setTimeout(resolve, 0));
      assertEquals(pieces <= read + 2, true, `${pieces} were decoded for ${read} that were read`);
    }
    decoder.close();
  });
}
