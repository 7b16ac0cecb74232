/**
 * The calls that read a body, and what each of them gave.
 *
 * @module
 */
import type { ResponseRecord } from "./player.ts";
import type { Reading } from "./plan.ts";
import { bytesOf, latin1 } from "./texts.ts";
import type { World } from "./world.ts";

/** A call that reads, and what it gave. */
export interface ReadRecord {
  how: Reading;
  called: number;
  settled: number;
  status: "pending" | "resolved" | "rejected";
  error: unknown;
  /** The bytes that it gave, as they were then. */
  text: string;
  /** Whether it said that the body is over. */
  end: boolean;
  /** The memory that it gave or filled, which must not change any more. */
  kept: { memory: Uint8Array; text: string }[];
  /** Each piece that it gave, with its number among those of all calls. */
  given: { order: number; text: string }[];
}

let order = 0;

/** Notes what a call gave. */
function give(record: ReadRecord, memory: Uint8Array, count = memory.length): void {
  const text = latin1(memory.subarray(0, count));
  record.text += text;
  record.kept.push({ memory, text: latin1(memory) });
  record.given.push({ order: order++, text });
}

/** Makes the call. */
export function startReading(
  world: World,
  response: ResponseRecord,
  how: Reading,
  amount: number,
): ReadRecord {
  const record: ReadRecord = {
    how,
    called: world.tick(),
    settled: 0,
    status: "pending",
    error: null,
    text: "",
    end: false,
    kept: [],
    given: [],
  };
  const settle = (status: "resolved" | "rejected", error: unknown) => {
    record.settled = world.tick();
    record.status = status;
    record.error = error;
    const partial = (error as { partial?: unknown } | null)?.partial;
    if (partial instanceof Uint8Array) give(record, partial);
    const how = status === "rejected" ? `: ${error}` : record.end ? ", and the end" : "";
    world.tell(`${record.how} of ${response.owner} ${status}, ${record.text.length} bytes${how}`);
  };
  const call = how === "cancel" ? cancel : READERS[how];
  Promise.try(() => call(record, response, amount)).then(
    () => settle("resolved", null),
    (error) => settle("rejected", error),
  );
  return record;
}

type Call = (record: ReadRecord, response: ResponseRecord, amount: number) => Promise<void>;

/** Calls that give bytes, and the end by giving none. */
function plain(read: (response: ResponseRecord, amount: number) => Promise<Uint8Array>): Call {
  return async (record, response, amount) => {
    const bytes = await read(response, amount);
    give(record, bytes);
    record.end = bytes.length === 0;
  };
}

async function readAll(record: ReadRecord, { response }: ResponseRecord): Promise<void> {
  give(record, await response.read());
  record.end = true;
}

async function readText(record: ReadRecord, { response }: ResponseRecord): Promise<void> {
  give(record, bytesOf(await response.text()));
  record.end = true;
}

async function readInto(
  record: ReadRecord,
  { response }: ResponseRecord,
  amount: number,
): Promise<void> {
  const memory = new Uint8Array(amount);
  const count = await response.readinto(memory);
  give(record, memory, count);
  record.end = count === 0;
}

async function readLines(record: ReadRecord, { response }: ResponseRecord): Promise<void> {
  const lines = await response.readlines();
  for (const line of lines) give(record, line);
  record.end = lines.length === 0;
}

/** Iterators that have thrown: that they are done from then on says nothing of the body. */
const broken = new WeakSet<AsyncIterableIterator<Uint8Array>>();

async function step(
  record: ReadRecord,
  iterator: AsyncIterableIterator<Uint8Array>,
): Promise<void> {
  try {
    const { done, value } = await iterator.next();
    if (!done) give(record, value);
    else record.end = !broken.has(iterator);
  } catch (error) {
    broken.add(iterator);
    throw error;
  }
}

async function iterate(record: ReadRecord, { response }: ResponseRecord): Promise<void> {
  for await (const piece of response) give(record, piece);
  record.end = true;
}

async function byReader(record: ReadRecord, { response }: ResponseRecord): Promise<void> {
  const reader = response.getReader();
  try {
    const { done, value } = await reader.read();
    if (done) record.end = true;
    else give(record, value);
  } finally {
    reader.releaseLock();
  }
}

async function byob(
  record: ReadRecord,
  { response }: ResponseRecord,
  amount: number,
): Promise<void> {
  const reader = response.getReader({ mode: "byob" });
  try {
    const { done, value } = await reader.read(new Uint8Array(amount));
    if (done) record.end = true;
    else give(record, value);
  } finally {
    reader.releaseLock();
  }
}

/** A reader that lets go while its read is out. */
async function release(record: ReadRecord, { response }: ResponseRecord): Promise<void> {
  const reader = response.getReader();
  const read = reader.read();
  reader.releaseLock();
  const { done, value } = await read;
  if (done) record.end = true;
  else give(record, value);
}

async function cancel(_record: ReadRecord, response: ResponseRecord): Promise<void> {
  // From here on the stream is over, as its reader said so itself.
  response.cancelled = true;
  await response.response.cancel();
}

async function pipe(record: ReadRecord, { response }: ResponseRecord): Promise<void> {
  await response.pipeTo(new WritableStream({ write: (piece) => give(record, piece) }));
  record.end = true;
}

async function copy(
  record: ReadRecord,
  { response }: ResponseRecord,
  amount: number,
): Promise<void> {
  let taken = bytesOf("");
  await response.copyTo({
    async write(p) {
      taken = p.slice(0, Math.max(amount, 1));
      await Promise.resolve();
      return taken.length;
    },
  }, { onProgress: () => give(record, taken) });
  record.end = true;
}

const READERS: Record<Exclude<Reading, "cancel">, Call> = {
  read: readAll,
  readN: plain(({ response }, amount) => response.read(amount)),
  readinto: readInto,
  read1: plain(({ response }, amount) => response.read1(amount)),
  readline: plain(({ response }) => response.readline()),
  readlines: readLines,
  next: (record, response) => step(record, response.pieces ??= response.response.values()),
  line: (record, response) => step(record, response.lines ??= response.response.lines()),
  iterate,
  reader: byReader,
  byob,
  release,
  pipe,
  copy,
  text: readText,
  peek: plain(({ response }, amount) => response.peek(amount)),
};
