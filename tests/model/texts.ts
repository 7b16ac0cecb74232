/**
 * The bytes of bodies. Each follows from who sends it, so that a wrong byte is seen, and whose it is.
 *
 * @module
 */

/** One character for each byte. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return text;
}

/** One byte for each character. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** A response that nobody asked for. */
export function unasked(owner: string): string {
  return `HTTP/1.1 200 OK\r\nX-Id: ${owner}\r\nContent-Length: 4\r\n\r\nevil`;
}

/** The body of the response to a request: it looks like responses, in lines with its name. */
export function responseBody(id: number, size: number): string {
  let text = "";
  for (let block = 0; text.length < size; block++) {
    text += `${unasked(`body-${id}`)}\n[${id}:${block}]\nabc\n`;
  }
  return text.slice(0, size);
}

/** A part of the body of a request: it says whose it is, and then looks like a request. */
export function requestPart(id: number | "raw", part: number, size: number): string {
  let text = `<${id}.${part}>`;
  while (text.length < size) text += "GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n";
  return text.slice(0, size);
}
