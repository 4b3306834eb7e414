import { types } from 'node:util';

const DEEPEST = 1000;

/** Why a value cannot travel as JSON, and where in it; or whether it can as it is, without becoming JSON first. */
export type Travel =
  | { readonly fit: true; readonly plain: boolean }
  | { readonly fit: false; readonly path: string; readonly reason: string };

/** Thrown from the depths of a value, and caught at its top. */
class Found extends Error {
  readonly reason: string;
  readonly keys: (string | number)[] = [];

  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

/**
 * Looks for what JSON would lose or refuse: a function, a symbol, a BigInt, a number that is not finite,
 * a Map or a Set, a circle; and for more of it than `maxBytes`. Dates and whatever else has `toJSON` become
 * what that gives; undefined in an object is a property that is not there.
 */
export function inspectJson(value: unknown, maxBytes: number): Travel {
  let bytes = 0;
  let plain = true;
  const above = new Set<object>();

  const count = (more: number) => {
    bytes += more;
    if (bytes > maxBytes) throw new Found(`larger than ${maxBytes / 2 ** 20} MB`);
  };

  const visit = (part: unknown): void => {
    switch (typeof part) {
      case 'string':
        return count(Buffer.byteLength(part) + 2);
      case 'boolean':
        return count(5);
      case 'number':
        if (!Number.isFinite(part)) throw new Found(`${part} is not a number that JSON has`);
        return count(8);
      case 'bigint':
        throw new Found('a BigInt is not JSON');
      case 'function':
        throw new Found('a function is not JSON');
      case 'symbol':
        throw new Found('a symbol is not JSON');
      case 'undefined':
        return;
      case 'object':
        if (part !== null) enter(part);
        else count(4);
    }
  };

  const enter = (part: object): void => {
    if (above.has(part)) throw new Found('is circular');
    if (above.size >= DEEPEST) throw new Found(`nested deeper than ${DEEPEST}`);
    if (part instanceof Map || part instanceof Set)
      throw new Found(`a ${part.constructor.name} is not JSON: make an object or an array of it`);
    above.add(part);
    plain &&= isPlain(part);
    const { toJSON } = part as { toJSON?: unknown };
    if (typeof toJSON === 'function') {
      plain = false;
      visit(toJSON.call(part, ''));
    } else if (Array.isArray(part)) for (let index = 0; index < part.length; index++) child(part, index);
    else {
      for (const key of Object.keys(part)) {
        count(key.length + 4);
        child(part as Record<string, unknown>, key);
      }
    }
    above.delete(part);
  };

  const child = <K extends string | number>(parent: Record<K, unknown>, key: K): void => {
    try {
      visit(parent[key]);
    } catch (error) {
      const found = error instanceof Found ? error : new Found(`cannot be read: ${messageOf(error)}`);
      found.keys.unshift(key);
      throw found;
    }
  };

  try {
    visit(value);
    return { fit: true, plain };
  } catch (error) {
    if (error instanceof Found) return { fit: false, path: pathOf(error.keys), reason: error.reason };
    return { fit: false, path: '', reason: `cannot be read: ${messageOf(error)}` };
  }
}

/** Whether a clone of the object is the object. */
function isPlain(part: object): boolean {
  if (types.isProxy(part)) return false;
  const prototype: unknown = Object.getPrototypeOf(part);
  return Array.isArray(part) || prototype === Object.prototype || prototype === null;
}

function pathOf(keys: readonly (string | number)[]): string {
  // A circle is found as deep as it is long; its start says enough.
  const shown = keys.length > 20 ? [...keys.slice(0, 20), '…'] : keys;
  return shown.join('.');
}

function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'it throws';
  }
}
