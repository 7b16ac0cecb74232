/**
 * A session of each program in `examples/` with its servers is recorded by the recipe
 * `examples/record_replay.ts`, and replayed byte for byte.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Connect, type Line, replay } from "../../examples/record_replay.ts";
import { TempDir } from "../servers/child.ts";
import { EXAMPLES, needsNpm, runExample } from "./run_example.ts";

/** One byte for each character. */
function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Does on one connection of a replay what was recorded; how many bytes were received. */
async function playBack(connect: Connect, lines: Line[]): Promise<number> {
  const [first] = lines;
  if ("failed" in first && first.failed === "connect") {
    await assertRejects(connect, Error, first.message);
    return 0;
  }
  const transport = await connect();
  let total = 0;
  for (const line of lines) {
    if ("opened" in line) continue;
    if ("sent" in line) {
      for (let rest = bytes(line.sent); rest.length > 0;) {
        rest = rest.subarray(await transport.write(rest));
      }
    } else if ("failed" in line) {
      const again = line.failed === "read"
        ? () => transport.read(new Uint8Array(1))
        : () => transport.write(new Uint8Array(1));
      await assertRejects(again, Error, line.message);
    } else if (line.received === null) {
      assertEquals(await transport.read(new Uint8Array(1)), null);
    } else {
      const expected = bytes(line.received);
      // One byte more than was received: it must not come with more.
      const buffer = new Uint8Array(expected.length + 1);
      assertEquals(await transport.read(buffer), expected.length);
      assertEquals(buffer.subarray(0, expected.length), expected);
      total += expected.length;
    }
  }
  transport.close();
  return total;
}

/** Replays a whole recording. */
async function playBackAll(path: string): Promise<{ connections: number; received: number }> {
  const connections: Line[][] = [];
  for (const text of Deno.readTextFileSync(path).split("\n").filter(Boolean)) {
    const line: Line = JSON.parse(text);
    (connections[line.connection] ??= []).push(line);
  }
  const played = replay(path);
  let received = 0;
  for (const lines of connections) received += await playBack(played, lines);
  played.finish();
  return { connections: connections.length, received };
}

/** Those without a session on Deno's sockets, and why. */
const WITHOUT: Record<string, string> = {
  "examples/compare.ts": "it compares clients",
  "examples/http.ts": "a command for servers of the user's",
  "examples/record_replay.ts": "it records and replays a session itself",
  "examples/socks5.ts": "the package opens the socket, with node:net",
};

const preload = new URL("./record_all.ts", import.meta.url).href;

for (const path of EXAMPLES.filter((path) => !(path in WITHOUT))) {
  const npm = needsNpm(path);
  Deno.test({
    name: `a session with the servers of ${path} is replayed byte for byte${
      npm ? " (with packages of npm)" : ""
    }`,
    ignore: npm && !Deno.env.get("CI"),
    async fn() {
      await using dir = await new TempDir("replay");
      const recording = `${dir.path}/session.jsonl`;
      await runExample(path, [], [`--preload=${preload}`], { RECORDING: recording });
      const { connections, received } = await playBackAll(recording);
      assert(received > 0, `${connections} connections, ${received} bytes`);
    },
  });
}
