/**
 * Docker's hijack over its unix socket: a POST with `Upgrade: tcp`, and from its 101 on the connection
 * is the input and the output of a container.
 *
 *     deno run -A examples/hijack.ts
 *
 * @module
 */
import { HTTPConnection, SWITCHING_PROTOCOLS } from "@denoports/http-client";
import { assertEquals } from "@std/assert";
import { startRaw } from "../tests/servers/raw.ts";

// The engine: a container that runs `tr a-z A-Z`, and has printed a line by the time that it is attached to.
await using engine = await startRaw(async (peer) => {
  const { target, get } = await peer.readRequest();
  assertEquals([target.split("?")[0], get("upgrade")], ["/containers/x/attach", "tcp"]);
  await peer.send(
    "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n" +
      "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\nREADY\n",
  );
  const input = await peer.eof();
  await peer.send(new TextDecoder().decode(input).toUpperCase());
}, { unix: true });

using conn = new HTTPConnection("docker", { socketPath: engine.path });
await conn.request("POST", "/containers/x/attach?stream=1&stdin=1&stdout=1", null, {
  "Connection": "Upgrade",
  "Upgrade": "tcp",
});
const response = await conn.getresponse();
assertEquals(response.status, SWITCHING_PROTOCOLS);

const { readable, writable } = conn.detach();
const writer = writable.getWriter();
await writer.write(new TextEncoder().encode("hello from outside\n"));
await writer.close(); // The end of its input; its output still comes.
const output = await new Response(readable).text();
console.log(output);
assertEquals(output, "READY\nHELLO FROM OUTSIDE\n");
