/**
 * Draws a waterfall of exchanges as one SVG, from the events of `trace`: when each exchange connected,
 * sent, waited and received, on several connections at once. `Waterfall` may be imported. The picture
 * goes to a file if one is named, else to the standard output; without URLs it is that of the self-check,
 * and goes to a file or nowhere.
 *
 *     deno run -A examples/waterfall.ts [FILE]
 *     deno run -A examples/waterfall.ts waterfall.svg https://example.com/ https://example.org/
 *
 * @module
 */
import { HTTPConnection, HTTPSConnection, type TraceEvent } from "@denoports/http-client";
import { assert, assertEquals } from "@std/assert";

/** One exchange: when its events happened. */
interface Row {
  connection: string;
  label: string;
  status: number | null;
  times: { [T in TraceEvent["type"]]?: number };
}

/** A part of an exchange, in milliseconds. */
export interface Phase {
  name: "connect" | "TLS" | "send" | "wait" | "receive";
  from: number;
  to: number;
}

/** The colours can be told apart with each of the common kinds of colour blindness. */
const COLORS: Record<Phase["name"], string> = {
  connect: "#e69f00",
  TLS: "#cc79a7",
  send: "#0072b2",
  wait: "#9aa0a6",
  receive: "#009e73",
};

const WIDTH = 960;
const [LEFT, RIGHT, TOP, ROW] = [290, 860, 62, 22];
const LABEL_LENGTH = 38;

/** Collects exchanges, and draws them. */
export class Waterfall {
  readonly #rows: Row[] = [];

  /**
   * Makes the option `trace` of one connection object. Each response is to be read to its end before the
   * next request.
   */
  trace(connection: string): (event: TraceEvent) => void {
    let row: Row | null = null;
    return (event) => {
      const { type, time } = event;
      if (row === null && type !== "connectStart" && type !== "requestStart") return;
      // A connection attempt that failed has no event of its end.
      if (row === null || (type === "connectStart" && row.times.connectStart !== undefined)) {
        row = { connection, label: "(connect)", status: null, times: {} };
        this.#rows.push(row);
      }
      row.times[type] = time;
      if (type === "requestStart") row.label = `${event.method} ${event.target}`;
      else if (type === "responseHead") row.status = event.status;
      else if (type === "responseEnd" || type === "close") row = null;
    };
  }

  /** The exchanges with their phases, in the order in which they began. */
  get exchanges(): { connection: string; label: string; failed: boolean; phases: Phase[] }[] {
    const all = this.#rows.map(({ connection, label, status, times }) => {
      const failed = times.responseEnd === undefined;
      const result = status ?? (failed ? "failed" : "");
      return { connection, label: `${label} ${result}`, failed, phases: phasesOf(times) };
    });
    return all.sort((a, b) => a.phases[0].from - b.phases[0].from);
  }

  /** The picture. */
  svg(): string {
    const rows = this.exchanges;
    if (rows.length === 0) throw new Error("Cannot draw waterfall: there are no exchanges");
    const start = Math.min(...rows.map(({ phases }) => phases[0].from));
    const end = Math.max(start + 0.001, ...rows.map(({ phases }) => phases.at(-1)!.to));
    const x = (time: number) => LEFT + (time - start) / (end - start) * (RIGHT - LEFT);
    const height = TOP + ROW * rows.length + 34;
    const bottom = TOP + ROW * rows.length;
    const parts = [
      `<rect class="background" width="${WIDTH}" height="${height}"/>`,
      ...legend(),
      ...axis(end - start).map((ms) => {
        const at = x(start + ms).toFixed(1);
        return `<path class="grid" d="M${at} ${TOP - 8}V${bottom}"/>` +
          `<text x="${at}" y="${bottom + 18}" text-anchor="middle">${ms} ms</text>`;
      }),
      ...rows.map(({ connection, label, failed, phases }, i) => {
        const y = TOP + ROW * i;
        const length = phases.at(-1)!.to - phases[0].from;
        // When a connection attempt failed is not known.
        const total = length === 0 ? "✕" : `${ms(length)}${failed ? " ✕" : ""}`;
        const bars = phases.map(({ name, from, to }) => {
          const width = Math.max(1, x(to) - x(from)).toFixed(1);
          return `<rect x="${x(from).toFixed(1)}" y="${y + 3}" width="${width}" height="${
            ROW - 8
          }"` +
            ` fill="${COLORS[name]}"><title>${name}: ${ms(to - from)}</title></rect>`;
        });
        const full = `${connection}  ${label}`;
        const short = full.length > LABEL_LENGTH ? `${full.slice(0, LABEL_LENGTH - 1)}…` : full;
        return `<g><title>${escape(`${full}, ${total}`)}</title>` +
          `<text class="label" x="12" y="${y + 14}" xml:space="preserve">${escape(short)}</text>` +
          `${bars.join("")}<text x="${RIGHT + 12}" y="${y + 14}">${total}</text></g>`;
      }),
    ];
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" ` +
      `width="${WIDTH}" height="${height}" role="img" aria-label="Waterfall of exchanges">\n` +
      `<style>
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .label { font-family: ui-monospace, monospace; font-size: 11.5px; }
  .background { fill: #ffffff; }
  .grid { stroke: #d0d7de; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .background { fill: #0d1117; }
    .grid { stroke: #30363d; }
  }
</style>\n${parts.join("\n")}\n</svg>\n`;
  }
}

/** The phases of an exchange; one that has not ended lasts up to the last event. */
function phasesOf(times: Row["times"]): Phase[] {
  const last = Math.max(...Object.values(times));
  const { connectStart, connected, tunnelled, tlsStart, secured } = times;
  const { requestStart, requestEnd, responseHead, responseEnd } = times;
  // An early answer may come before the request has been sent.
  const sent = Math.min(requestEnd ?? last, responseHead ?? last);
  const phases: [Phase["name"], number | undefined, number | undefined][] = [
    ["connect", connectStart, tunnelled ?? connected],
    ["TLS", tlsStart, secured],
    ["send", requestStart, sent],
    ["wait", requestStart === undefined ? undefined : sent, responseHead],
    ["receive", responseHead, responseEnd],
  ];
  return phases.flatMap(([name, from, to = last]) =>
    from === undefined ? [] : [{ name, from, to }]
  );
}

/** The positions of at most ten ticks, at 1, 2 or 5 times a power of ten. */
function axis(length: number): number[] {
  const power = 10 ** Math.floor(Math.log10(length / 10));
  const step = [1, 2, 5, 10].map((n) => n * power).find((step) => length / step < 10)!;
  const decimals = Math.max(0, -Math.floor(Math.log10(step)));
  const count = Math.floor(length / step) + 1;
  return Array.from({ length: count }, (_, i) => Number((i * step).toFixed(decimals)));
}

function legend(): string[] {
  return Object.entries(COLORS).map(([name, color], i) => {
    const x = LEFT + 90 * i;
    return `<rect x="${x}" y="16" width="12" height="12" fill="${color}"/>` +
      `<text x="${x + 18}" y="26">${name}</text>`;
  });
}

function ms(length: number): string {
  return `${length.toFixed(length < 10 ? 1 : 0)} ms`;
}

/** Text for XML, which allows no control characters. */
function escape(text: string): string {
  const safe = text.replace(/[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]/g, "\ufffd");
  return safe.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** Fetches URLs: those of one origin in turn on one connection, those of different origins at once. */
async function fetchAll(
  waterfall: Waterfall,
  urls: URL[],
  caCerts: string[] = [],
  report: (line: string) => void = console.error,
): Promise<void> {
  const origins = [...Map.groupBy(urls, ({ origin }) => origin)];
  await Promise.all(origins.map(async ([origin, urls], i) => {
    const options = {
      timeout: 30,
      deadlines: { total: 120 },
      trace: waterfall.trace(origins.length > 1 ? `#${i + 1}` : ""),
    };
    using conn = origin.startsWith("https:")
      ? new HTTPSConnection(new URL(origin), { ...options, context: { caCerts } })
      : new HTTPConnection(new URL(origin), options);
    for (const url of urls) {
      try {
        await conn.request("GET", url);
        const response = await conn.getresponse();
        for await (const _piece of response); // read to its end, whatever it is
      } catch (error) {
        report(`${url}: ${error}`);
      }
    }
  }));
}

async function selfCheck(): Promise<string> {
  const { CA, LOCALHOST } = await import("../tests/tls/mod.ts");
  const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
  await using pages = Deno.serve(options, answer);
  await using images = Deno.serve(options, answer);
  await using secure = Deno.serve({ ...options, ...LOCALHOST }, answer);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port: refusing } = listener.addr;
  listener.close();

  const waterfall = new Waterfall();
  const long = `/pictures?name=${"x".repeat(50)}&size=%3C1%3E`;
  await fetchAll(
    waterfall,
    [
      ...["/", "/style.css", "/missing"].map((path) =>
        `http://127.0.0.1:${pages.addr.port}${path}`
      ),
      ...["/stream", long].map((path) => `http://127.0.0.1:${images.addr.port}${path}`),
      ...["/account", "/stream"].map((path) => `https://127.0.0.1:${secure.addr.port}${path}`),
      `http://127.0.0.1:${refusing}/refused`,
    ].map((url) => new URL(url)),
    [CA],
    (line) => console.log(`refused, as it should be: ${line}`),
  );

  const { exchanges } = waterfall;
  assertEquals(exchanges.length, 8);
  const names = (label: string) => {
    const found = exchanges.find((exchange) => exchange.label === label);
    return found?.phases.map(({ name }) => name).join(" ");
  };
  assertEquals(names("GET / 200"), "connect send wait receive");
  assertEquals(names("GET /missing 404"), "send wait receive"); // on the connection of the first
  assertEquals(names("GET /account 200"), "connect TLS send wait receive");
  assertEquals(names("(connect) failed"), "connect");
  for (const { phases } of exchanges) {
    phases.forEach(({ from, to }, i) => assert(from <= to && from >= (phases[i - 1]?.to ?? 0)));
  }
  const svg = waterfall.svg();
  console.log(
    `checked: ${exchanges.length} exchanges drawn with their phases, a refused one included`,
  );
  return svg;
}

/** The server of the self-check, which takes a while for what it does. */
async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const work = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  await work(pathname.length * 2);
  if (pathname === "/missing") return new Response("not here", { status: 404 });
  if (pathname !== "/stream") return new Response("hello");
  return new Response(ReadableStream.from((async function* () {
    for (let i = 0; i < 4; i++, await work(10)) yield new TextEncoder().encode("piece");
  })()));
}

if (import.meta.main) {
  const isUrl = (arg: string) => /^https?:/.test(arg);
  const urls = Deno.args.filter(isUrl);
  const path = Deno.args.find((arg) => !isUrl(arg));
  const waterfall = new Waterfall();
  if (urls.length > 0) await fetchAll(waterfall, urls.map((url) => new URL(url)));
  const svg = urls.length > 0 ? waterfall.svg() : await selfCheck();
  if (path !== undefined) await Deno.writeTextFile(path, svg);
  else if (urls.length > 0) console.log(svg);
}
