/**
 * Deep equality as `@std/assert` has it: by class and by own enumerable properties, `0` equals `-0`,
 * `NaN` equals itself.
 *
 * @module
 */

/** Pairs that are being compared further up, so that cycles end. */
type Seen = Map<object, object>;

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function ownKeys(value: object): PropertyKey[] {
  return Reflect.ownKeys(value).filter((key) =>
    Object.prototype.propertyIsEnumerable.call(value, key)
  );
}

function sameClass(a: object, b: object): boolean {
  return (a.constructor ?? Object) === (b.constructor ?? Object);
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let i = 0; i < left.length; i++) {
    if (left[i] !== right[i]) return false;
  }
  return true;
}

/** Whether each item has a partner of its own on the other side, in any order. */
function sameItems(a: unknown[], b: unknown[], seen: Seen): boolean {
  const left = [...b];
  return a.length === b.length && a.every((item) => {
    const at = left.findIndex((other) => compare(item, other, seen));
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}

function sameProperties(a: object, b: object, seen: Seen): boolean {
  const keys = ownKeys(a);
  return keys.length === ownKeys(b).length &&
    keys.every((key) =>
      Object.hasOwn(b, key) && compare(Reflect.get(a, key), Reflect.get(b, key), seen)
    );
}

function compareObjects(a: object, b: object, seen: Seen): boolean {
  if (!sameClass(a, b)) return false;
  if (a instanceof WeakMap || a instanceof WeakSet) {
    throw new TypeError(`cannot compare ${a.constructor.name} instances`);
  }
  if (a instanceof WeakRef && b instanceof WeakRef) return compare(a.deref(), b.deref(), seen);
  if (a instanceof RegExp || a instanceof URL) return String(a) === String(b);
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
  if (a instanceof Uint8Array) return sameBytes(a, b as Uint8Array);
  if (a instanceof ArrayBuffer) {
    return sameBytes(new Uint8Array(a), new Uint8Array(b as ArrayBuffer));
  }
  if (seen.get(a) === b) return true;
  seen.set(a, b);
  if (a instanceof Map) return sameItems([...a], [...b as typeof a], seen);
  if (a instanceof Set) return sameItems([...a], [...b as typeof a], seen);
  return sameProperties(a, b, seen);
}

function compare(a: unknown, b: unknown, seen: Seen): boolean {
  if (Object.is(a, b) || a === b) return true;
  return isObject(a) && isObject(b) && compareObjects(a, b, seen);
}

/**
 * Compares deeply.
 *
 * @param a One value
 * @param b The other value
 * @returns Whether they are equal
 */
export function equal(a: unknown, b: unknown): boolean {
  return compare(a, b, new Map());
}
