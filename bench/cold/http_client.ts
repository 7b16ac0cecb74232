/** The first request of a fresh process by this library. */
import { HTTPConnection } from "@denoports/http-client";

using conn = new HTTPConnection("127.0.0.1", Number(Deno.args[0]));
await conn.request("GET", "/bytes/1024");
const body = await (await conn.getresponse()).read();
if (body.length !== 1024) throw new Error("The body is not whole");
