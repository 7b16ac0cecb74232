/** The first request of a fresh process by `fetch`. */
const response = await fetch(`http://127.0.0.1:${Deno.args[0]}/bytes/1024`);
if ((await response.bytes()).length !== 1024) throw new Error("The body is not whole");
