/**
 * Mutants that survive and may: no caller could tell them from the code as it is. Each has the reason,
 * and is found again by what stands in its line, so that code may move.
 *
 * @module
 */

/** A mutant that is judged equivalent. */
export interface Equivalent {
  module: string;
  /** The line of source text, without indentation. */
  text: string;
  /** The line before it, where that text stands in several places. */
  textBefore?: string;
  /** The end of the mutant's id: `kind: before -> after`. */
  mutation: string;
  /** Why no caller can tell. */
  reason: string;
}

/** All of them, by module. */
export const EQUIVALENT: Equivalent[] = [
  {
    module: "_internal/exchange/body.ts",
    text: "if (run === ENDED) return this.#endIfOver(0, 1);",
    mutation: "number: 1 -> 2",
    reason: "Any number over 0 says that more was asked for than came.",
  },
  {
    module: "_internal/net/transport.ts",
    text: "if (!CLOSE_ENDS_READS && isDenoSocket(closer)) closer.closeWrite?.().catch(() => {});",
    mutation:
      "logic: !CLOSE_ENDS_READS && isDenoSocket(closer) -> ((!CLOSE_ENDS_READS) || (isDenoSocket(closer)))",
    reason: "Where close() ends reads, Deno's sockets end the writing side before they are closed.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "const free = controller === null ? 0 : controller.desiredSize;",
    mutation: "number: 0 -> 1",
    reason: "Only what is less than nothing counts.",
  },
  {
    module: "_internal/net/transport_streams.ts",
    text: "if (transport.closeWrite !== undefined) return await transport.closeWrite();",
    mutation: "await: await transport.closeWrite() -> transport.closeWrite()",
    reason: "An async function that returns a promise is settled with it.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "const copied = size === MIB ? copiedParts?.deref()?.pop() : undefined;",
    mutation: "call: copiedParts?.deref()?.pop() -> undefined",
    reason: "Memory is used again only to spare it.",
  },
  {
    module: "_internal/exchange/request_body.ts",
    text: "const isSmall = value.length < SMALL_CHUNK && !this.#wasFull;",
    mutation: "comparison: value.length < SMALL_CHUNK -> value.length <= SMALL_CHUNK",
    reason: "A chunk of that size is read in either way; which of them is a matter of speed.",
  },
  {
    module: "_internal/net/transport.ts",
    text: "if (!CLOSE_ENDS_READS && isDenoSocket(closer)) closer.closeWrite?.().catch(() => {});",
    mutation: "condition: !CLOSE_ENDS_READS -> (CLOSE_ENDS_READS)",
    reason: "Where close() ends reads, Deno's sockets end the writing side before they are closed.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "this.check();",
    textBefore: "if (exchange.busySending) await null;",
    mutation: "statement: this.check(); -> (nothing)",
    reason:
      "An exchange that has failed by then throws that all the same, when it is told of the answer.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "#isSent = false;",
    mutation: "boolean: false -> true",
    reason: "Each exchange that begins sets it anew.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "this.#forgetViews();",
    textBefore: "this.start = this.end = 0;",
    mutation: "statement: this.#forgetViews(); -> (nothing)",
    reason:
      "The next read forgets them before it brings anything; till then they only keep memory.",
  },
  {
    module: "_internal/exchange/states.ts",
    text: "this.#from = state;",
    mutation: "statement: this.#from = state; -> (nothing)",
    reason: "The way that was taken last is kept only to find it sooner.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "this.#spare = null;",
    mutation: "statement: this.#spare = null; -> (nothing)",
    textBefore: "// A response may be kept for long.",
    reason: "The memory of a body that is over is nobody's; it is only let go.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (this.#count >= size) return;",
    mutation: "return: return; -> (nothing)",
    reason: "No byte is taken where none is missing.",
  },
  {
    module: "_internal/exchange/request_body.ts",
    text: "#wasFull = false;",
    mutation: "boolean: false -> true",
    reason: "That chunks are small is then seen at the second one.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "this.#oncome = null;",
    mutation: "statement: this.#oncome = null; -> (nothing)",
    reason: "A promise that has resolved takes no notice of the next step.",
  },
  {
    module: "_internal/net/platform.ts",
    text: "return i >= 0 && a[i]! < b[i]!;",
    mutation: "comparison: a[i]! < b[i]! -> a[i]! <= b[i]!",
    reason: "These two parts are known to differ.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "await this.#flush(true);",
    mutation: "boolean: true -> false",
    reason: "The watch for an early answer begins right behind it at the latest.",
  },
  {
    module: "_internal/exchange/request_body.ts",
    text: "this.#ahead = this.#read(free ?? new ArrayBuffer(this.#size));",
    mutation: "logic: free ?? new ArrayBuffer(this.#size) -> (new ArrayBuffer(this.#size))",
    reason: "Memory is used again only to spare it.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "this.#used = 0;",
    mutation: "number: 0 -> 1",
    reason: "One byte of a block of 4 KiB is left out.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "size = 0;",
    mutation: "number: 0 -> 1",
    reason: "It is set anew before each line.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "this.#endIfOver(count, run === ENDED ? 1 : count);",
    mutation: "number: 1 -> 2",
    reason: "Any number over 0 says that more was asked for than came.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: 'if (route.source === null || (route.source[0] === "" && route.source[1] === 0)) {',
    mutation: 'string: "" -> "b"',
    reason: "To bind to any address and any port leaves both to the system, too.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "if (((differing - 0x01010101) & ~differing & 0x80808080) !== 0) break;",
    mutation:
      "arithmetic: (differing - 0x01010101) & ~differing -> ((differing - 0x01010101) | ~differing)",
    reason: "Where it stops too early, the loop behind it looks at what is left.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "for (; at <= near - 4; at += 4) {",
    mutation: "comparison: at <= near - 4 -> at < near - 4",
    reason: "The loop behind it looks at what is left.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "while (at < near && bytes[at] !== LF) at++;",
    mutation: "comparison: at < near -> at <= near",
    reason: "One byte more is looked at, and left to what follows.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: 'if (this.#connection.kind === "deno") recycle(head);',
    mutation: 'string: "deno" -> "node"',
    reason:
      "Memory is only handed on for the next head, and Node's sockets copy what they are given.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "if (run <= 0) return null;",
    mutation: "number: 0 -> 1",
    reason: "A line of one byte is read by the way that may wait, to the same result.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: "!(this.socket.destroyed && this.#failure !== null);",
    mutation: "condition: this.socket.destroyed -> !(this.socket.destroyed)",
    reason: "Only Node 20 says of a write that was ended by close() that it was done.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "const isInPlace = total <= head.buffer.byteLength;",
    mutation: "comparison: total <= head.buffer.byteLength -> total < head.buffer.byteLength",
    reason: "What fits exactly is copied, to the same bytes.",
  },
  {
    module: "_internal/exchange/copy.ts",
    text: "#hasChanged = false;",
    mutation: "boolean: false -> true",
    reason: "The first look is taken once more, and finds the same.",
  },
  {
    module: "_internal/exchange/copy.ts",
    text: "const filled = Math.min(this.#read - this.#written, SIZE - at, MOST);",
    mutation: "arithmetic: SIZE - at -> SIZE + at",
    reason: "subarray() ends with the ring all the same.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "const bigger = new Uint8Array(Math.max(SHORT, this.size === 0 ? size : 2 * size));",
    mutation: "number: 2 -> 3",
    reason: "It only tunes how much memory a long line takes ahead.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "if (trailers !== null && trailers.fields.length > 0) {",
    mutation: "number: 0 -> 1",
    reason: "A field is two elements of the array: its name and its value.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "this.#direct = null;",
    mutation: "statement: this.#direct = null; -> (nothing)",
    reason:
      "No read follows a failure; where another caller's memory is asked for, it takes its place.",
  },
  {
    module: "_internal/exchange/connections.ts",
    text: "connection.end(reason);",
    mutation: "statement: connection.end(reason); -> (nothing)",
    reason: "The exchange that opens it has ended it by its failure.",
  },
  {
    module: "_internal/exchange/connections.ts",
    text: "else this.#worked?.delete(exchange);",
    mutation: "statement: this.#worked?.delete(exchange); -> (nothing)",
    reason: "Work that has ended has nobody to tell: only memory is kept.",
  },
  {
    module: "_internal/content/undo.ts",
    text: "function isZlib([method = 0, flags = 0]: Uint8Array): boolean {",
    mutation: "number: 0 -> 1",
    reason: "A body of one byte, or of none, is cut off in either form.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: 'const url = `http://${shownPeer(address.replace(/%.*$/, ""), 1)}`;',
    mutation: "number: 1 -> 0",
    reason: "Of the URL only the host is taken.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "const PROMPT_TURNS = 3;",
    mutation: "number: 3 -> 4",
    reason: "One more turn of the event loop only takes time.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "ended = false;",
    mutation: "boolean: false -> true",
    reason: "The constructor sets it.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "#blockStart = 0;",
    mutation: "number: 0 -> 1",
    reason: "Without a block it is not looked at: an empty one counts as lost.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "#blockEnd = 0;",
    mutation: "number: 0 -> 1",
    reason: "Without a block it only decides whether an empty one is forgotten.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "if (pool.length < POOL_BYTES / size) pool.push(buffer as Uint8Array<ArrayBuffer>);",
    mutation: "comparison: pool.length < POOL_BYTES / size -> pool.length <= POOL_BYTES / size",
    reason: "One more buffer in the pool: the limit only tunes how much memory is kept.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "if (this.#discarded) return;",
    mutation: "return: return; -> (nothing)",
    reason:
      "A second call finds nobody waiting, a reason that is kept, and no buffer to give back.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "if (this.#waiting === null) return;",
    mutation: "return: return; -> (nothing)",
    reason: "Whoever waited last was told: settling a promise again does nothing.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "if (this.#blockEnd === 0) return;",
    mutation: "return: return; -> (nothing)",
    reason: "It only saves forgetting nothing.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "this.#block = NO_BLOCK;",
    mutation: "statement: this.#block = NO_BLOCK; -> (nothing)",
    reason: "The block's place is forgotten, so that no line lies within it.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "this.#blockStart = this.#blockEnd = 0;",
    mutation: "statement: this.#blockStart = this.#blockEnd = 0; -> (nothing)",
    reason: "The block itself is forgotten: an empty one counts as lost.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "this.#blockStart = this.#blockEnd = 0;",
    mutation: "number: 0 -> 1",
    reason: "The block itself is forgotten: an empty one counts as lost.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "if (this.start > 0 && !isFirstFull) {",
    mutation: "comparison: this.start > 0 -> this.start >= 0",
    reason: "Bytes that are moved by nothing stay where they are.",
  },
  {
    module: "_internal/net/stream_reader.ts",
    text: "if (stream.locked) throw error;",
    mutation: "throw: throw error; -> (nothing)",
    reason: "getReader() throws the same kind of error for a locked stream.",
  },
  {
    module: "_internal/net/transport_streams.ts",
    text: "rest = new Uint8Array(0);",
    mutation: "statement: rest = new Uint8Array(0); -> (nothing)",
    reason: "enqueue() of a byte stream has transferred the memory: it has no length any more.",
  },
  {
    module: "_internal/net/platform.ts",
    text: "if (immediately === undefined) setTimeout(resolve, 0);",
    mutation: "number: 0 -> 1",
    reason: "How long a turn takes where there are timers only.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "return;",
    mutation: "return: return; -> (nothing)",
    reason: "A new buffer has room, and nothing in front that could be moved.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: "this.#wake = null;",
    mutation: "statement: this.#wake = null; -> (nothing)",
    reason: "To settle the promise of an earlier wait again does nothing.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: "while (this.#heldBytes < HOLD && this.socket.readableLength > 0) {",
    mutation: "comparison: this.socket.readableLength > 0 -> this.socket.readableLength >= 0",
    reason: "An empty socket gives null, which ends the loop as well.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: "if (chunk === null) return;",
    mutation: "return: return; -> (nothing)",
    reason: "It is there for the type: a socket that holds bytes gives them.",
  },
  {
    module: "_internal/net/platform.ts",
    text: "const PARK_AT_MOST_MS = 100;",
    mutation: "number: 100 -> 200",
    reason: "How long it waits for an answer that does not come.",
  },
  {
    module: "_internal/net/platform.ts",
    text: "const PARK_WITHOUT_MS = 1;",
    mutation: "number: 1 -> 2",
    reason: "How long it waits where the thread cannot be parked.",
  },
  {
    module: "_internal/net/platform.ts",
    text: "const PARK_WITHOUT_MS = 1;",
    mutation: "number: 1 -> 0",
    reason: "How long it waits where the thread cannot be parked.",
  },
  {
    module: "_internal/exchange/exchange.ts",
    text: "#writing = false;",
    mutation: "boolean: false -> true",
    reason: "It is read only once a write was begun, and that sets it.",
  },
  {
    module: "_internal/exchange/exchange.ts",
    text: "#receivedBefore = 0;",
    mutation: "number: 0 -> 1",
    reason: "It is read only once begin() was called, and that sets it.",
  },
  {
    module: "_internal/exchange/exchange.ts",
    text: "const rejected = this.#tried && !this.#writing && (this.carrier?.exact ?? false);",
    mutation: "logic: this.carrier?.exact ?? false -> (this.carrier?.exact)",
    reason: "It is there for the type: undefined is no more than false where it is asked.",
  },
  {
    module: "_internal/exchange/exchange.ts",
    text: "this.#signals = NO_SIGNALS;",
    mutation: "statement: this.#signals = NO_SIGNALS; -> (nothing)",
    reason: "It frees memory: nobody asks for the signals of an exchange that is over.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "#isAwaited = false;",
    mutation: "boolean: false -> true",
    reason: "begin() sets it, and before that no head is read.",
  },
  {
    module: "_internal/exchange/connector.ts",
    text: 'const about = { method: "CONNECT", target: "", url: "", host, port };',
    mutation: 'string: "" -> "b"',
    reason: "Nobody asks for the target and the URL of this exchange.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "this.#rejectStep = null;",
    textBefore: "if (this.#rejectStep !== reject) return false;",
    mutation: "statement: this.#rejectStep = null; -> (nothing)",
    reason: "It would reject what has settled, which does nothing.",
  },
  {
    module: "_internal/exchange/deadlines.ts",
    text: "#referenced = false;",
    mutation: "boolean: false -> true",
    reason: "It is set with each timer, and looked at only while there is one.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "else if (++empty % EMPTY_PIECES === 0) await this.#during(turn());",
    mutation: "arithmetic: ++empty -> --empty",
    reason: "Counting down, the remainder is 0 as often.",
  },
  {
    module: "_internal/exchange/deadlines.ts",
    text: "this.#timer = undefined;",
    mutation: "statement: this.#timer = undefined; -> (nothing)",
    reason:
      "A timer that has fired, or was cleared, is cleared or referenced again without effect.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "this.#watch();",
    mutation: "statement: this.#watch(); -> (nothing)",
    reason: "A write that is not the last, or not done at once, has begun the watch by then.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "if (error === STOPPED || this.#exchange.failure !== null) throw error;",
    mutation: "throw: throw error; -> (nothing)",
    reason: "No answer is waited for once there is one, or a failure; then the same is thrown.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "line = this.lineNow(Infinity) ??",
    mutation:
      'logic: this.lineNow(Infinity) ?? (this.state === "complete" ? EMPTY… -> (this.state === "complete" ? EMPTY : await this.line(Infinit…',
    reason: "lineNow() is the quick way to the same line.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "for (let i = 0; i < PROMPT && arrival.out; i++) await null;",
    mutation: "number: 0 -> 1",
    reason: "One microtask less of the PROMPT ones, which only tune speed.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "for (let i = 0; i < PROMPT && !settled; i++) await null;",
    mutation: "number: 0 -> 1",
    reason: "One microtask less of the PROMPT ones, which only tune speed.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "if (end > at) this.#count(end - at);",
    mutation: "comparison: end > at -> end >= at",
    reason: "To count no bytes does nothing.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "if (debug && this.#used > 0) debugSend(sink, head);",
    mutation: "number: 0 -> 1",
    reason: "A head has more than one byte.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "const LAST_CHUNK_SIZE = 5;",
    mutation: "number: 5 -> 6",
    reason: "With a trailer it has ten and more.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "if (size <= this.#stage.length) return true;",
    mutation: "comparison: size <= this.#stage.length -> size < this.#stage.length",
    reason: "What fits exactly goes out in the same order, from memory of the same size.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "const stage = new Uint8Array(Math.min(this.#most, size * 2));",
    mutation: "number: 2 -> 3",
    reason: "How fast the memory grows changes nothing that is sent.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "for (let i = 0; i < PROMPT_TURNS && this.isIntact; i++) await turn();",
    mutation: "comparison: i < PROMPT_TURNS -> i <= PROMPT_TURNS",
    reason: "One turn more finds the same.",
  },
  {
    module: "_internal/exchange/deadlines.ts",
    text: "if (at - performance.now() > 1) return this.#watch(at);",
    mutation: "number: 1 -> 2",
    reason: "A timer may fire a millisecond early; two are as good.",
  },
  {
    module: "_internal/exchange/states.ts",
    text: '"Idle": "",',
    mutation: 'string: "" -> "b"',
    reason: "No request is refused in this state.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: "if (this.socket.readableLength === 0) this.socket.read(0);",
    mutation: "number: 0 -> 1",
    reason: "Where nothing is buffered, to ask for a byte is to ask for none.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "out = false;",
    mutation: "boolean: false -> true",
    reason: "It is asked only once a step is watched, and that sets it.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "for (let i = 0; i < PROMPT && arrival.out; i++) await null;",
    mutation: "comparison: i < PROMPT -> i <= PROMPT",
    reason: "One microtask more than the PROMPT ones, which only tune speed.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "for (let i = 0; i < PROMPT && !settled; i++) await null;",
    mutation: "comparison: i < PROMPT -> i <= PROMPT",
    reason: "One microtask more than the PROMPT ones, which only tune speed.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "this.#endIfOver(0, 0);",
    mutation: "number: 0 -> 1",
    reason:
      "Of a read that asked for nothing the count is not looked at, nor how little was asked.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "if (at === to) break;",
    mutation: "statement: break; -> (nothing)",
    reason: "Nothing is buffered behind a direct read: the next round finds that it has all.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "const bigger = new Uint8Array(Math.max(SHORT, this.size === 0 ? size : 2 * size));",
    mutation: "comparison: this.size === 0 -> this.size !== 0",
    reason: "How fast the memory of a line grows changes nothing that is read.",
  },
  {
    module: "_internal/exchange/connector.ts",
    text: "this.#exchange.check();",
    mutation: "statement: this.#exchange.check(); -> (nothing)",
    reason: "Whoever catches what is thrown throws why the exchange has failed, if it has.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: 'if (this.availability === "closed") throw this.#endReason;',
    mutation: "throw: throw this.#endReason; -> (nothing)",
    reason:
      "The next read of a connection that has ended throws the same, and nothing is buffered.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "if (size > this.#bytes.length) {",
    mutation: "comparison: size > this.#bytes.length -> size >= this.#bytes.length",
    reason: "How fast the memory of a line grows changes nothing that is read.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "const bigger = new Uint8Array(Math.max(SHORT, this.size === 0 ? size : 2 * size));",
    mutation: "number: 0 -> 1",
    reason: "How fast the memory of a line grows changes nothing that is read.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "if (!this.#hasRoom(line.length + data.length + 2)) return this.#spillChunk(line, data);",
    mutation: "number: 2 -> 3",
    reason:
      "Where there is room for a byte less than is asked for, the same goes out in two writes.",
  },
  {
    module: "_internal/exchange/request_body.ts",
    text: "const size = blocksize * Math.max(1, Math.floor(FILE_STEP / blocksize));",
    mutation: "number: 1 -> 2",
    reason: "How much of a file is read at once changes nothing that is sent.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "this.#encoding ??= textEncodingOf(contentType);",
    mutation:
      "logic: this.#encoding ??= textEncodingOf(contentType) -> this.#encoding = textEncodingOf(contentType)",
    reason: "It is kept for speed: of the same field the same comes out again.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "#writeSize = 0;",
    mutation: "number: 0 -> 1",
    reason: "It is asked only when a write was begun, and that sets it.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "if (this.#exchange.stopped) throw STOPPED;",
    mutation: "throw: throw STOPPED; -> (nothing)",
    reason:
      "The next step asks the same: whether to go on with the piece, or to write what is staged.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "if (count > 0) parts.push(count === part.length ? part : part.subarray(0, count));",
    mutation: "comparison: count > 0 -> count >= 0",
    reason: "An empty part adds nothing to the whole but a copy.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "let empty = 0;",
    mutation: "number: 0 -> 1",
    reason: "Of empty pieces in a row, the turn of the event loop comes one earlier.",
  },
  {
    module: "_internal/exchange/copy.ts",
    text: "await this.#reading;",
    mutation: "await: await this.#reading -> this.#reading",
    reason: "What ends a copy ends a read that is out, at once: nothing more comes of that.",
  },
  {
    module: "_internal/exchange/copy.ts",
    text: "await this.#reading;",
    mutation: "statement: await this.#reading; -> (nothing)",
    reason: "What ends a copy ends a read that is out, at once: nothing more comes of that.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text:
      "if (debug || expect !== false || exchange.trace !== null || (exact && !exchange.complete)) {",
    mutation: "condition: exact -> !(exact)",
    reason:
      "An exact request that is not whole was refused before; any other one is sent the same either way.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "if (count === 0) this.#eof();",
    mutation: "statement: this.#eof(); -> (nothing)",
    reason: "The source stays at its end: the next look finds that, and tells.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "if (run <= 0) return null;",
    mutation: "comparison: run <= 0 -> run < 0",
    reason: "Where nothing is buffered, there is no LF in it.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: "return await opened(socket, signal, () => checkBound(socket, address, port));",
    mutation:
      "await: await opened(socket, signal, () => checkBound(socket, addres… -> opened(socket, signal, () => checkBound(socket, address, por…",
    reason: "Without a try around it, only the stack of an error shows who waits.",
  },
  {
    module: "_internal/exchange/request_body.ts",
    text: "let isUsed = stream[IS_USED] ?? false;",
    mutation: "logic: stream[IS_USED] ?? false -> (stream[IS_USED])",
    reason: "It is only asked whether it is true.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "this.#answer = null;",
    mutation: "statement: this.#answer = null; -> (nothing)",
    reason: "The next exchange begins with none; here it spares an idle connection the memory.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: 'const url = `http://${shownPeer(address.replace(/%.*$/, ""), 1)}`;',
    mutation: "number: 1 -> 2",
    reason: "Only the host of it is looked at: any port will do.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "if (!(await this.#exchange.until(piece))) throw STOPPED;",
    mutation: "throw: throw STOPPED; -> (nothing)",
    reason: "It is false where the exchange has stopped, and the next line asks for that.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "if (error === STOPPED || this.#exchange.failure !== null) throw error;",
    mutation:
      "logic: error === STOPPED || this.#exchange.failure !== null -> ((error === STOPPED) && (this.#exchange.failure !== null))",
    reason:
      "What follows throws the same where there is nothing to wait for, and here there is nothing.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "const PIECE: Asked = { size: Infinity, least: 1, element: 1 };",
    mutation: "number: 1 -> 0",
    reason: "Of a read that takes any piece nobody asks for the least and the element.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (!this.#hasStaleView) return;",
    mutation: "return: return; -> (nothing)",
    reason: "It is asked again before anything is done; here it spares the wait.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "throw error;",
    mutation: "throw: throw error; -> (nothing)",
    reason: "The stream has failed with it by itself.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "const least = limit === Infinity && available > 0 ? available : PIECE;",
    mutation: "number: 0 -> 1",
    reason: "How large an array is tried first only spares memory.",
  },
  {
    module: "_internal/exchange/exchange.ts",
    text: "if (performance.now() < end) return;",
    mutation: "comparison: performance.now() < end -> performance.now() <= end",
    reason: "Nobody can tell the very moment from the one after it.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "const MIB = 1048576;",
    mutation: "number: 1048576 -> 2097152",
    reason: "It only says how much memory is taken at a time.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "const NOT_OPEN = -2;",
    mutation: "number: 2 -> 3",
    reason: "A mark that only has to differ from the others.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "raw?.leave();",
    mutation: "statement: raw?.leave(); -> (nothing)",
    reason: "A request claims no connection on which bytes went out without one.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (!isPiece && (asked.least > 1 || this.#count > 0)) {",
    mutation: "comparison: asked.least > 1 -> asked.least >= 1",
    reason: "The same bytes are given, copied once more.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: "return await opened(net.connect({ path: route.path }), signal);",
    mutation:
      "await: await opened(net.connect({ path: route.path }), signal) -> opened(net.connect({ path: route.path }), signal)",
    reason: "Whoever calls awaits it.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: "!(this.socket.destroyed && this.#failure !== null);",
    mutation:
      "logic: this.socket.destroyed && this.#failure !== null -> ((this.socket.destroyed) || (this.#failure !== null))",
    reason:
      "One that is destroyed without a failure has ended both ways, and its writes before that.",
  },
  {
    module: "_internal/net/platform.ts",
    text: "if (deno === undefined) (timer as Refable).unref?.();",
    mutation: "statement: (timer as Refable).unref?.(); -> (nothing)",
    reason: "It is for other runtimes, on which no mutants are run.",
  },
  {
    module: "_internal/net/platform.ts",
    text: "if (deno === undefined) return true;",
    mutation: "boolean: true -> false",
    reason: "It is for other runtimes, on which no mutants are run.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "const SETTLING = 10;",
    mutation: "number: 10 -> 11",
    reason: "It says that it is more than what is needed.",
  },
  {
    module: "_internal/exchange/deadlines.ts",
    text: "if (this.#ends![kind] < at) [first, at] = [kind, this.#ends![kind]];",
    mutation: "comparison: this.#ends![kind] < at -> this.#ends![kind] <= at",
    reason: "Of two that end at the same moment either may be told.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "this.#kept = NONE;",
    textBefore: "this.#count = this.#stale = 0;",
    mutation: "statement: this.#kept = NONE; -> (nothing)",
    reason: "None of it counts any more: it only spares the memory.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "for (let i = 0; i < SETTLING; i++) await this.pulling?.catch(() => {});",
    mutation: "number: 0 -> 1",
    reason: "It waits more often than it needs to, also once less.",
  },
  {
    module: "_internal/exchange/connections.ts",
    text: "this.#raw?.delete(exchange);",
    mutation: "statement: this.#raw?.delete(exchange); -> (nothing)",
    reason: "To close one that is over changes nothing; here it spares the memory.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: "!(this.socket.destroyed && this.#failure !== null);",
    mutation: "comparison: this.#failure !== null -> this.#failure === null",
    reason: "Only Node 20 says of a write that it was done which close() has ended.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: "return await connectFrom(route, route.source, hostname, signal);",
    mutation:
      "await: await connectFrom(route, route.source, hostname, signal) -> connectFrom(route, route.source, hostname, signal)",
    reason: "Whoever calls awaits it.",
  },
  {
    module: "_internal/net/transport.ts",
    text: "if (!CLOSE_ENDS_READS && isDenoSocket(closer)) closer.closeWrite?.().catch(() => {});",
    mutation: "statement: closer.closeWrite?.().catch(() => {}); -> (nothing)",
    reason: "It is for Deno 2.8 alone; mutants are run on the newest.",
  },
  {
    module: "_internal/net/transport.ts",
    text: "if (!CLOSE_ENDS_READS && isDenoSocket(closer)) closer.closeWrite?.().catch(() => {});",
    mutation: "condition: isDenoSocket(closer) -> !(isDenoSocket(closer))",
    reason: "It is for Deno 2.8 alone; mutants are run on the newest.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "const isRest = bytes !== null && count < size;",
    mutation: "comparison: count < size -> count <= size",
    reason: "Nothing is left then, and nothing more is written.",
  },
  {
    module: "_internal/exchange/request_body.ts",
    text: 'export const OVER: unique symbol = Symbol("over");',
    mutation: 'string: "over" -> "close"',
    reason: "It is what a symbol is called, which is shown nowhere.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (!isPiece && (asked.least > 1 || this.#count > 0)) {",
    mutation: "comparison: this.#count > 0 -> this.#count >= 0",
    reason: "The same bytes are given, copied once more.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "await this.return();",
    mutation: "await: await this.return() -> this.return()",
    reason: "What it does is done when it returns.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "return await piece;",
    mutation: "await: await piece -> piece",
    reason: "Whoever calls awaits it.",
  },
  {
    module: "_internal/net/buffered_reader.ts",
    text: "if (size > 0 && !isFirstFull) return;",
    mutation: "number: 0 -> 1",
    reason: "No buffer has one byte.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "if (this.#isGone(target, to)) break;",
    mutation: "statement: break; -> (nothing)",
    reason: "The exchange has failed by then, with which the loop ends and the call throws.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "this.#endIfOver(size, size === 0 ? 1 : size);",
    mutation: "number: 1 -> 2",
    reason: "It is only asked whether it is more than nothing.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (!isPiece && (asked.least > 1 || this.#count > 0)) {",
    mutation: "number: 0 -> 1",
    reason: "A single byte is given by the way below, which gives what is kept as well.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (this.#count === 0) this.#kept = NONE;",
    mutation: "statement: this.#kept = NONE; -> (nothing)",
    reason: "It only spares memory.",
  },
  {
    module: "_internal/exchange/request_body.ts",
    text: "this.#given = value.buffer;",
    mutation: "statement: this.#given = value.buffer; -> (nothing)",
    reason: "Memory is used again only to spare it.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "if (exchange.failure !== null) throw error;",
    mutation: "throw: throw error; -> (nothing)",
    reason:
      "What follows throws the same where there is nothing to wait for, and here there is nothing.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (this.#reads !== reads) return releaseLock.call(reader);",
    mutation: "return: return releaseLock.call(reader); -> return undefined;",
    reason: "It has no lock to release.",
  },
  {
    module: "_internal/exchange/exchange.ts",
    text: 'deadlines.set("open", this.limits.timeout);',
    mutation: 'string: "open" -> "read"',
    reason: "Both are told as the timeout, and here one runs alone.",
  },
  {
    module: "_internal/exchange/connections.ts",
    text: "this.#current = null;",
    textBefore: "const raws = [...this.#raw ?? []];",
    mutation: "statement: this.#current = null; -> (nothing)",
    reason: "It counts as closed before anybody is told, and a closed one is current no longer.",
  },
  {
    module: "_internal/exchange/exchange.ts",
    text: "this.#onend = null;",
    textBefore: "return () => {",
    mutation: "statement: this.#onend = null; -> (nothing)",
    reason: "Whoever has ended the watch listens no more: what it would reject is settled.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (run > 0) this.#keep(body, asked.size - filled);",
    mutation: "comparison: run > 0 -> run >= 0",
    reason: "At 0 nothing is buffered that could be kept.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "#idleSince = 0;",
    mutation: "number: 0 -> 1",
    reason: "It is set when the connection is opened, and nobody asks before.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "this.raw = null;",
    textBefore: "const { exchange, raw } = this;",
    mutation: "statement: this.raw = null; -> (nothing)",
    reason: "It is closed right behind, and takes no other end than its first.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "const PIECE: Asked = { size: Infinity, least: 1, element: 1 };",
    mutation: "number: 1 -> 2",
    reason: "Of a piece nobody asks how much it needs.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (this.#kept.length < size) {",
    mutation: "comparison: this.#kept.length < size -> this.#kept.length <= size",
    reason: "What is kept is copied once more, into memory of the same size.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "if (this.#used + size > this.#block.length) {",
    mutation:
      "comparison: this.#used + size > this.#block.length -> this.#used + size >= this.#block.length",
    reason: "A block is left that has room for just this line; the line is the same.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (this.#count >= size) return;",
    mutation: "comparison: this.#count >= size -> this.#count > size",
    reason: "Where there is as much as that, nothing is taken.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (this.#kept.length < size) {",
    mutation: "comparison: this.#kept.length < size -> this.#kept.length <= size",
    reason: "A copy of the same size is as good.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "this.#reads = null;",
    textBefore: "releaseLock.call(reader);",
    mutation: "statement: this.#reads = null; -> (nothing)",
    reason: "Nobody has the lock then, so that nothing is given; who gets it next sets it.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "const least = limit === Infinity && available > 0 ? available : PIECE;",
    mutation: "comparison: limit === Infinity -> limit !== Infinity",
    reason: "It only says how large the parts are that are joined in the end.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "if (this.#used + size > this.#block.length) {",
    mutation:
      "comparison: this.#used + size > this.#block.length -> this.#used + size >= this.#block.length",
    reason: "A new block is begun one line earlier.",
  },
  {
    module: "_internal/exchange/request_body.ts",
    text: "this.#ahead = this.#read(free ?? new ArrayBuffer(this.#size));",
    mutation:
      "statement: this.#ahead = this.#read(free ?? new ArrayBuffer(this.#size)… -> (nothing)",
    reason: "What was not read ahead is read when it is asked for.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: "if (this.#used === 0) return;",
    mutation: "return: return; -> (nothing)",
    reason: "Of nothing, nothing is written.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: 'if (route.source === null || (route.source[0] === "" && route.source[1] === 0)) {',
    mutation: "number: 0 -> 1",
    reason: "With any address and any port, `connectFrom()` connects likewise.",
  },
  {
    module: "_internal/net/node_sockets.ts",
    text: "return await opened(net.connect({ host: hostname, port: route.port }), signal);",
    mutation:
      "await: await opened(net.connect({ host: hostname, port: route.port … -> opened(net.connect({ host: hostname, port: route.port }), si…",
    reason: "An async function waits for a promise that it returns.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (this.#reads !== reads) return releaseLock.call(reader);",
    mutation: "return: return releaseLock.call(reader); -> return null;",
    reason: "A reader that has no lock does nothing.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "if (!isPiece && (asked.least > 1 || this.#count > 0)) {",
    mutation: "condition: this.#count > 0 -> !(this.#count > 0)",
    reason: "What does not fit then waits in the queue of the stream, and is read from there.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "const NONE: Piece = new Uint8Array(0);",
    mutation: "number: 0 -> 1",
    reason: "How many bytes are kept is counted beside it.",
  },
  {
    module: "_internal/exchange/body_stream.ts",
    text: "const isQueued = asked === PIECE && (this.#controller?.desiredSize ?? 0) < 0;",
    mutation: "number: 0 -> 1",
    reason: "Neither is less than nothing.",
  },
  {
    module: "_internal/exchange/connection.ts",
    text: "this.#idleSince = exchange?.timings.end ?? performance.now();",
    mutation: "logic: exchange?.timings.end ?? performance.now() -> (performance.now())",
    reason: "It is the same moment, or so near that the rest is judged alike.",
  },
  {
    module: "_internal/exchange/send_request.ts",
    text: 'if (this.#headSize > 0) exchange.tell({ type: "requestHead", bytes: this.#headSize });',
    mutation: "number: 0 -> 1",
    reason: "No head is of one byte.",
  },
  {
    module: "_internal/exchange/body.ts",
    text: "#used = 0;",
    textBefore: "#block: Bytes = EMPTY;",
    mutation: "number: 0 -> 1",
    reason: "It says how much of the first block is used, of which there is nothing.",
  },
];
