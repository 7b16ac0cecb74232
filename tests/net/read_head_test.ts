/**
 * Reading a response head: when more is read, when the caller is asked, and how it ends early.
 *
 * @module
 */
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { IncompleteRead, RemoteDisconnected } from "../../mod.ts";
import { BufferedReader } from "../../_internal/net/buffered_reader.ts";
import { HeadReader, type HeadReading } from "../../_internal/net/read_head.ts";
import { DEFAULT_LIMITS } from "../../_internal/wire/field_section.ts";
import type { Head, HeadOptions } from "../../_internal/wire/response_head.ts";
import { readerOf } from "../helpers/bodies.ts";
import { latin1 } from "../servers/raw.ts";

const HEAD = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";

const OPTIONS: HeadOptions = { limits: DEFAULT_LIMITS, maxInterim: 10 };

/** Reads a head as its users do. */
async function readHead(
  source: BufferedReader,
  options: HeadOptions,
  reading: HeadReading,
): Promise<Head> {
  const reader = new HeadReader(source, options, reading);
  let head = reader.next();
  while (head === null) {
    reader.filled(await source.fill());
    head = reader.next();
  }
  return head;
}

/** A reading that records what it is asked. */
function recorded(check = (_asked: number) => {}): { asked: string[]; reading: HeadReading } {
  const asked: string[] = [];
  const reading = {
    check() {
      asked.push("check");
      if (asked.length > 1000) throw new Error("The head is read for ever");
      check(asked.length);
    },
    progress: () => void asked.push("progress"),
  };
  return { asked, reading };
}

Deno.test("HeadReader gives the head and leaves what follows it when both come at once", async () => {
  const reader = new BufferedReader(readerOf(HEAD + "body"));
  const { asked, reading } = recorded();
  const head = await readHead(reader, OPTIONS, reading);
  assertEquals([head.status, head.reason, head.version], [200, "OK", 11]);
  assertEquals(latin1(reader.take(reader.available)), "body");
  assertEquals(asked, ["check", "check", "progress", "check"]);
});

Deno.test("HeadReader reads nothing when the head is buffered", async () => {
  const reader = new BufferedReader(readerOf(HEAD, "more"));
  await reader.fill();
  const { asked, reading } = recorded();
  assertEquals((await readHead(reader, OPTIONS, reading)).status, 200);
  assertEquals([reader.received, asked], [HEAD.length, ["check"]]);
});

Deno.test("HeadReader reads on until the head is whole when it comes byte by byte", async () => {
  const reader = new BufferedReader(readerOf(...HEAD));
  const { asked, reading } = recorded();
  assertEquals((await readHead(reader, OPTIONS, reading)).status, 200);
  assertEquals(asked.filter((what) => what === "progress").length, HEAD.length);
});

Deno.test("HeadReader reads on until the final head when interim heads come before it", async () => {
  const interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
  const reader = new BufferedReader(readerOf(interim, interim + HEAD));
  const seen: number[] = [];
  const onInterim = ({ status }: Head) => void seen.push(status);
  const head = await readHead(reader, { ...OPTIONS, onInterim }, recorded().reading);
  assertEquals([head.status, seen], [200, [103, 103]]);
});

Deno.test("HeadReader throws RemoteDisconnected when the end comes first", async () => {
  const { asked, reading } = recorded();
  const reader = new BufferedReader(readerOf());
  await assertRejects(() => readHead(reader, OPTIONS, reading), RemoteDisconnected);
  assertEquals(asked, ["check", "check"]);
});

Deno.test("HeadReader throws IncompleteRead with what came when the end comes within the head", async () => {
  const reader = new BufferedReader(readerOf("HTTP/1.1 200"));
  const error = await assertRejects(
    () => readHead(reader, OPTIONS, recorded().reading),
    IncompleteRead,
  );
  assertEquals(latin1(error.partial), "HTTP/1.1 200");
});

Deno.test("HeadReader throws what the source fails with", async () => {
  const reason = new RangeError("mine");
  const reader = new BufferedReader({ read: () => Promise.reject(reason) });
  const error = await assertRejects(() => readHead(reader, OPTIONS, recorded().reading));
  assertStrictEquals(error, reason);
});

Deno.test("HeadReader throws what check() throws, with the head already there", async () => {
  const reason = new RangeError("mine");
  const reader = new BufferedReader(readerOf(HEAD));
  await reader.fill();
  const { reading } = recorded(() => {
    throw reason;
  });
  assertStrictEquals(await assertRejects(() => readHead(reader, OPTIONS, reading)), reason);
});

Deno.test("HeadReader asks check() before anything else when a read has settled", async () => {
  const reason = new RangeError("mine");
  for (const texts of [[HEAD], []]) {
    const { asked, reading } = recorded((count) => {
      if (count === 2) throw reason;
    });
    const reader = new BufferedReader(readerOf(...texts));
    assertStrictEquals(await assertRejects(() => readHead(reader, OPTIONS, reading)), reason);
    assertEquals(asked, ["check", "check"]);
  }
});
