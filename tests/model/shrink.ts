/**
 * Makes a failing case shorter while it still fails in the same way.
 *
 * @module
 */
import {
  type AnswerPlan,
  type BodyPlan,
  type Case,
  type ConnPlan,
  type Op,
  PLAIN_ANSWER,
  PLAIN_CONN,
} from "./plan.ts";

/** Whether a case still fails in the way that is looked for. */
export type Fails = (plan: Case) => Promise<boolean>;

/** The shortest case found; `limit` is how many cases are tried at most. */
export async function shrink(plan: Case, fails: Fails, limit = 400): Promise<Case> {
  let left = limit;
  const tried: Fails = async (candidate) => left-- > 0 && await fails(candidate);
  for (let size = Infinity; size > 0 && left > 0;) {
    plan = await withoutOps(plan, tried);
    plan = await simpler(plan, tried);
    const now = JSON.stringify(plan).length;
    if (now >= size) break;
    size = now;
  }
  return plan;
}

/** Takes calls out, many at once first. */
async function withoutOps(plan: Case, fails: Fails): Promise<Case> {
  for (let size = Math.ceil(plan.ops.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = plan.ops.length - size; at >= 0; at -= size) {
      const ops = [...plan.ops.slice(0, at), ...plan.ops.slice(at + size)];
      if (await fails({ ...plan, ops })) plan = { ...plan, ops };
    }
  }
  return plan;
}

/** Makes what is left simpler, one thing after another. */
async function simpler(plan: Case, fails: Fails): Promise<Case> {
  for (let i = plan.ops.length - 1; i >= 0; i--) {
    for (let again = true; again;) {
      again = false;
      for (const op of simplerOps(plan.ops[i])) {
        const candidate = { ...plan, ops: plan.ops.with(i, op) };
        if (!(await fails(candidate))) continue;
        [plan, again] = [candidate, true];
        break;
      }
    }
  }
  return await simplerConns(plan, fails);
}

async function simplerConns(plan: Case, fails: Fails): Promise<Case> {
  if (plan.conns.length > 1) {
    for (const keep of [0, 1]) {
      const ops = plan.ops.map((op) => "conn" in op ? { ...op, conn: 0 } : op);
      const kept = plan.ops.filter((op) => !("conn" in op) || op.conn === keep)
        .map((op) => "conn" in op ? { ...op, conn: 0 } : op);
      for (const candidate of [kept, ops]) {
        const one = { ...plan, conns: [plan.conns[keep]], ops: candidate };
        if (await fails(one)) return await simplerConns(one, fails);
      }
    }
  }
  for (let i = 0; i < plan.conns.length; i++) {
    for (const conn of fieldByField<ConnPlan>(plan.conns[i], PLAIN_CONN)) {
      const candidate = { ...plan, conns: plan.conns.with(i, { ...plan.conns[i], ...conn }) };
      if (await fails(candidate)) plan = candidate;
    }
  }
  return plan;
}

/** Each field that is not plain, as it is in the plain one. */
function fieldByField<T extends object>(plan: T, plain: T): Partial<T>[] {
  return (Object.keys(plain) as (keyof T)[])
    .filter((key) => JSON.stringify(plan[key]) !== JSON.stringify(plain[key]))
    .map((key) => ({ [key]: plain[key] }) as unknown as Partial<T>);
}

function simplerOps(op: Op): Op[] {
  const simple: Op[] = [];
  const { after } = op;
  if (after !== "settle") simple.push({ ...op, after: "settle" });
  if (typeof after === "number" && after > 0) {
    for (const fewer of new Set([0, after >> 1, after - 1])) simple.push({ ...op, after: fewer });
  }
  if ("lost" in op && op.lost) simple.push({ ...op, lost: false });
  if ("signal" in op && op.op !== "abort" && op.signal !== null) {
    simple.push({ ...op, signal: null });
  }
  if (op.op === "getresponse" && op.closing) simple.push({ ...op, closing: false });
  if ("answer" in op) {
    simple.push(...simplerAnswers(op.answer).map((answer) => ({ ...op, answer })));
  }
  if (op.op === "request") simple.push(...simplerRequests(op));
  if (op.op === "read") {
    if (op.back > 0) simple.push({ ...op, back: 0 });
    if (op.how !== "read") simple.push({ ...op, how: "read" });
  }
  return simple;
}

function simplerRequests(op: Extract<Op, { op: "request" }>): Op[] {
  const simple: Op[] = [];
  if (op.body !== null) {
    simple.push({
      ...op,
      method: "GET",
      body: null,
      declared: null,
      expect: false,
      trailers: false,
    });
    simple.push(...simplerBodies(op.body).map((body) => ({ ...op, body })));
  }
  if (op.declared !== null) simple.push({ ...op, declared: null });
  if (op.odd !== "none") simple.push({ ...op, odd: "none" });
  if (op.expect) simple.push({ ...op, expect: false });
  if (op.trailers) simple.push({ ...op, trailers: false });
  if (op.close) simple.push({ ...op, close: false });
  return simple;
}

function simplerBodies(body: BodyPlan): BodyPlan[] {
  const simple: BodyPlan[] = [];
  if (body.act !== null) simple.push({ ...body, act: null });
  if (body.end !== "end") simple.push({ ...body, end: "end" });
  if (body.delay > 0) simple.push({ ...body, delay: 0 }, { ...body, delay: body.delay >> 1 });
  if (body.delay < 0) simple.push({ ...body, delay: 0 });
  if (body.pieces.length > 1) simple.push({ ...body, pieces: body.pieces.slice(1) });
  if (body.pieces.some((size) => size > 12)) {
    simple.push({
      ...body,
      pieces: body.pieces.map(() => 12),
    });
  }
  if (body.kind !== "bytes") simple.push({ ...body, kind: "bytes" });
  return simple.filter((simple) => JSON.stringify(simple) !== JSON.stringify(body));
}

function simplerAnswers(answer: AnswerPlan): AnswerPlan[] {
  const plain = JSON.stringify(answer) === JSON.stringify(PLAIN_ANSWER) ? [] : [PLAIN_ANSWER];
  const fields = fieldByField(answer, PLAIN_ANSWER).map((field) => ({ ...answer, ...field }));
  return [...plain, ...(fields.length > 1 ? fields : [])];
}
