/**
 * The library where there is no WebAssembly, in a process of its own.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { outputOf } from "../helpers/programs.ts";

Deno.test("read() decodes small chunks where there is no WebAssembly", async () => {
  const output = await outputOf(
    [],
    `
    delete globalThis.WebAssembly;
    const content = Array.from({ length: 3000 }, (_, i) => String.fromCharCode(97 + i % 26).repeat(1 + i % 20));
    const chunks = content.map((text) => text.length.toString(16) + "\\r\\n" + text + "\\r\\n").join("");
    const wire = "HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n" + chunks + "0\\r\\n\\r\\n";
    const response = new http.HTTPResponse(new Response(wire).body);
    await response.begin();
    console.log(await response.text() === content.join(""), typeof WebAssembly);
  `,
  );
  assertEquals(output, "true undefined");
});
