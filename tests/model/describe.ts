/**
 * A case as lines of calls that a person can replay.
 *
 * @module
 */
import {
  type AnswerPlan,
  type BodyPlan,
  type Call,
  type Case,
  type ConnPlan,
  HELD,
  type Op,
  PLAIN_ANSWER,
  PLAIN_CONN,
  type RequestCall,
} from "./plan.ts";

/** The fields of a plan that differ from a plain one, as text. */
function differences<T extends object>(plan: T, plain: T): string {
  const parts = Object.entries(plan).flatMap(([key, value]) => {
    const usual = JSON.stringify(plain[key as keyof T]) === JSON.stringify(value);
    return usual ? [] : [`${key}: ${value === HELD ? '"held"' : JSON.stringify(value)}`];
  });
  return `{ ${parts.join(", ")} }`.replace("{  }", "{}");
}

function describeConn(plan: ConnPlan, number: number): string {
  return `conn${number} = connection by ${plan.way} ${
    differences({ ...plan, way: "transport" }, PLAIN_CONN)
  }`;
}

function describeBody(body: BodyPlan): string {
  const { kind, pieces, delay, end, act } = body;
  const more = [
    ...(delay === 0 ? [] : [`delay ${delay === HELD ? "held" : delay}`]),
    ...(end === "end" ? [] : [`then ${end}`]),
    ...(act === null ? [] : [`at the second piece: ${act}`]),
  ];
  return `${kind} of ${pieces.join(" + ")} bytes${more.length > 0 ? ` (${more.join(", ")})` : ""}`;
}

function describeAnswer(answer: AnswerPlan): string {
  return `answer ${differences(answer, PLAIN_ANSWER)}`;
}

function describeRequest(op: RequestCall): string {
  const more = [
    ...(op.declared === null
      ? []
      : [`Content-Length: size ${op.declared < 0 ? "" : "+"}${op.declared}`]),
    ...(op.odd === "none" ? [] : [`odd fields: ${op.odd}`]),
    ...(op.expect ? ["expect_continue"] : []),
    ...(op.trailers ? ["trailers"] : []),
    ...(op.close ? ["Connection: close"] : []),
    ...(op.signal === null ? [] : [`signal ${op.signal}`]),
    ...(op.lost ? ["nobody looks at the promise"] : []),
  ].join(", ");
  const body = op.body === null ? "" : `, ${describeBody(op.body)}`;
  const target = op.method === "CONNECT" ? `c${op.id}.example:443` : `/${op.id}`;
  return `request("${op.method}", "${target}"${body}${more === "" ? "" : `, ${more}`}) -> ${
    describeAnswer(op.answer)
  }`;
}

function describeCall(op: Exclude<Call, { op: "abort" | "rest" }>): string {
  switch (op.op) {
    case "request":
      return describeRequest(op);
    case "put": {
      const length = op.length === null ? "" : `, Content-Length ${op.length}`;
      const close = op.close ? ", Connection: close" : "";
      return `putrequest("${op.method}", "/${op.id}"${length}${close}) -> ${
        describeAnswer(op.answer)
      }`;
    }
    case "end":
      return `endheaders(${op.body === null ? "" : `${op.body} bytes`}${
        op.signal === null ? "" : `, signal ${op.signal}`
      }${op.lost ? ", nobody looks at the promise" : ""})`;
    case "send":
    case "raw":
      return `send(${op.size} bytes${op.op === "raw" ? " without a request" : ""}${
        op.lost ? ", nobody looks at the promise" : ""
      })`;
    case "getresponse":
      return `getresponse(${op.signal === null ? "" : `signal ${op.signal}`})${
        op.closing ? ", closed on delivery" : ""
      }`;
    case "read":
      return `response[-${op.back + 1}].${op.how}(${op.amount})`;
    case "closeResponse":
      return `response[-${op.back + 1}].close()`;
    case "push":
      return `(the server sends, unasked: ${op.what})`;
    case "sock":
      return "sock = a new transport";
    default:
      return `${op.op}()`;
  }
}

function describeOp(op: Op): string {
  const after = op.after === "settle"
    ? "wait for it"
    : op.after === "turn"
    ? "one turn of the event loop"
    : `${op.after} microtasks`;
  const call = op.op === "abort"
    ? `abort signal ${op.signal}`
    : op.op === "rest"
    ? `rest for ${op.milliseconds} ms`
    : `conn${op.conn}.${describeCall(op)}`;
  return `${call}; ${after}`;
}

/** A case as lines. */
export function describeCase(plan: Case): string[] {
  return [...plan.conns.map(describeConn), ...plan.ops.map(describeOp)];
}
